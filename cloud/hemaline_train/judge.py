"""Judge a network's answers on samples that it never saw, task by task."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hemaline_train.metrics import (
    Interval,
    auroc,
    balanced_accuracy,
    calibration_error,
    over_groups,
    sensitivity_at,
)
from hemaline_train.samples import Sample
from hemaline_train.tasks import APL, CELL_CLASS, Task

Probabilities = NDArray[np.float64]

_SPECIFICITY = 0.95


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
        report |= _judge_blasts(samples, answers[CELL_CLASS.name], resamples)
    return report


def _judge_task(
    task: Task, samples: Sequence[Sample], probabilities: Probabilities, resamples: int
) -> dict[str, Interval]:
    truth = np.array([task.index(sample.labels[task.name]) for sample in samples])
    given = probabilities.argmax(axis=1)
    groups = [sample.groups[0] for sample in samples]
    figures = {
        "balanced_accuracy": over_groups(
            lambda at: balanced_accuracy(truth[at], given[at]), groups, resamples
        ),
        "calibration_error": over_groups(
            lambda at: calibration_error(truth[at], probabilities[at]), groups, resamples
        ),
    }
    if task == APL:
        names = np.asarray(groups)
        patients = np.unique(names)
        scores = np.array([probabilities[names == one, 1].mean() for one in patients])
        positive = np.array([truth[names == one][0] == 1 for one in patients])
        figures["auroc_per_group"] = over_groups(
            lambda at: auroc(positive[at], scores[at]), list(patients), resamples
        )
    return figures


def _judge_blasts(
    samples: Sequence[Sample], probabilities: Probabilities, resamples: int
) -> dict[str, dict[str, Interval]]:
    """Judge blasts (APL's promyelocytes count as such) against ordinary lymphocytes."""
    kinds = np.array([blast_kind(sample) for sample in samples])
    at = np.flatnonzero(kinds >= 0)
    if not at.size:
        return {}
    positive, score = kinds[at] == 1, blast_score(probabilities[at])
    groups = [samples[place].groups[0] for place in at.tolist()]
    return {
        "blast-vs-lymphocyte": {
            "auroc": over_groups(lambda i: auroc(positive[i], score[i]), groups, resamples),
            "sensitivity_at_95_specificity": over_groups(
                lambda i: sensitivity_at(positive[i], score[i], _SPECIFICITY), groups, resamples
            ),
        }
    }


def blast_kind(sample: Sample) -> int:
    """Return 1 for a blast, 0 for an ordinary lymphocyte, -1 for what is neither."""
    label = sample.labels.get("cell-fine", "")
    apl = label == "promyelocyte" and sample.labels.get("apl") == "APL"
    if label in ("blast", "promonocyte") or apl:
        return 1
    return 0 if label == "lymphocyte" else -1


def blast_score(probabilities: Probabilities) -> NDArray[np.float64]:
    """Return how much more a cell looks like a blast or its next stage than like a lymphocyte."""
    blast, immature, lymphocyte = (
        probabilities[:, CELL_CLASS.index(label)]
        for label in ("blast", "immature-granulocyte", "lymphocyte")
    )
    return np.asarray(np.log(blast + immature + 1e-9) - np.log(lymphocyte + 1e-9), np.float64)
