"""Judge a network's answers on samples that it never saw, task by task."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import APL, CELL_CLASS, Task
from hemaline_train.judging.blasts import BLAST_TASK, blast_kind, judge_blasts
from hemaline_train.judging.metrics import (
    AT_95,
    Figure,
    Interval,
    auroc_figure,
    balanced_accuracy_figure,
    calibration_error,
    chance_calibration_error,
    debiased_calibration_error,
    macro_auroc_figure,
    over_groups,
    over_groups_each,
    recall,
    sensitivity_figure,
)
from hemaline_train.judging.subjects import Probabilities, by_patient, truth_of

_WIDENED = ("calibration_error", "calibration_error_debiased")


def judge(
    samples: Sequence[Sample],
    tasks: Sequence[Task],
    answers: Mapping[str, Probabilities],
    resamples: int = 500,
) -> dict[str, dict[str, Interval]]:
    """Return `task@data set` -> figure -> value and interval over groups.

    Data sets are never judged together: an easy one would hide a hard one.

    Args:
        samples: None of them trained on.
        tasks: What was asked.
        answers: Task name -> probabilities, shape (n, labels).
        resamples: For the intervals.
    """
    report = {}
    places: dict[tuple[str, str], list[int]] = {}
    for place, sample in enumerate(samples):
        for name in sample.labels:
            places.setdefault((name, sample.data_set.name), []).append(place)
    for task in tasks:
        for (name, data_set), at in places.items():
            if name == task.name:
                chosen = [samples[place] for place in at]
                figures = _judge_task(task, chosen, answers[name][at], resamples)
                report[f"{name}@{data_set}"] = figures
    if CELL_CLASS.name in answers:
        report |= judge_blasts(samples, answers[CELL_CLASS.name], resamples)
    return report


def judged_count(question: str, figure: str, samples: Sequence[Sample]) -> tuple[int, int]:
    """Return how many pictures, or patients, a figure counts, and of how many groups they are.

    Args:
        question: A task, or `BLAST_TASK`.
        figure: As `judge` names it.
        samples: Of one data set, all with a label of the task.
    """
    own = [one for one in samples if question != BLAST_TASK or blast_kind(one) >= 0]
    groups = len({one.groups[0] for one in own})
    return groups if figure.endswith("_per_group") else len(own), groups


def _judge_task(
    task: Task, samples: Sequence[Sample], probabilities: Probabilities, resamples: int
) -> dict[str, Interval]:
    truth, groups = truth_of(task, samples), [sample.groups[0] for sample in samples]
    figures = over_groups_each(
        {
            "balanced_accuracy": balanced_accuracy_figure(truth, probabilities.argmax(axis=1)),
            "macro_auroc": macro_auroc_figure(truth, probabilities),
            "calibration_error": lambda at: calibration_error(truth[at], probabilities[at]),
            "calibration_error_debiased": lambda at: debiased_calibration_error(
                truth[at], probabilities[at]
            ),
        },
        groups,
        resamples,
        widened=_WIDENED,
    )
    by_chance = chance_calibration_error(probabilities)
    figures["calibration_error_by_chance"] = Interval(by_chance, None, None)
    if task == APL:
        patients = by_patient(truth, groups, probabilities[:, 1])
        figures["auroc_per_group"] = over_groups(
            auroc_figure(patients.positive, patients.mean), patients.names, resamples
        )
    return figures


def judge_labels(
    task: Task, samples: Sequence[Sample], probabilities: Probabilities, resamples: int = 500
) -> dict[str, dict[str, Interval]]:
    """Return label -> recall, AUROC and sensitivity at 95 % specificity against all other labels.

    Args:
        task: What was asked.
        samples: Of one data set, all with a label of the task.
        probabilities: Shape (n, labels).
        resamples: For the intervals.
    """
    truth = truth_of(task, samples)
    given = probabilities.argmax(axis=1)
    figures: dict[str, Figure] = {}
    for place, label in enumerate(task.labels):
        own, score = truth == place, probabilities[:, place]
        figures[f"{label} recall"] = _recall_figure(truth, given, place)
        figures[f"{label} auroc"] = auroc_figure(own, score)
        figures[f"{label} {AT_95}"] = sensitivity_figure(own, score)
    found = over_groups_each(figures, [sample.groups[0] for sample in samples], resamples)
    return {
        label: {name: found[f"{label} {name}"] for name in ("recall", "auroc", AT_95)}
        for label in task.labels
    }


def _recall_figure(truth: NDArray[np.intp], given: NDArray[np.intp], label: int) -> Figure:
    return lambda at: recall(truth[at], given[at], label)
