"""Judge a network's answers on samples that it never saw, task by task."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import APL, CELL_CLASS, Task
from hemaline_train.judging.metrics import (
    Figure,
    Interval,
    auroc,
    balanced_accuracy,
    calibration_error,
    chance_calibration_error,
    debiased_calibration_error,
    macro_auroc,
    over_groups,
    over_groups_each,
    recall,
    sensitivity_at,
)

Probabilities = NDArray[np.float64]

AT_95 = "sensitivity_at_95_specificity"

_SPECIFICITY = 0.95
_BLASTS = ("blast", "promonocyte")
_NOT_COUNTED = ("erythroblast", "smudge")
"""Labels that a differential leaves out."""


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
    figures = over_groups_each(
        {
            "balanced_accuracy": lambda at: balanced_accuracy(truth[at], given[at]),
            "macro_auroc": lambda at: macro_auroc(truth[at], probabilities[at]),
            "calibration_error": lambda at: calibration_error(truth[at], probabilities[at]),
            "calibration_error_debiased": lambda at: debiased_calibration_error(
                truth[at], probabilities[at]
            ),
        },
        groups,
        resamples,
    )
    by_chance = chance_calibration_error(probabilities)
    figures["calibration_error_by_chance"] = Interval(by_chance, None, None)
    if task == APL:
        names = np.asarray(groups)
        patients = np.unique(names)
        scores = np.array([probabilities[names == one, 1].mean() for one in patients])
        positive = np.array([truth[names == one][0] == 1 for one in patients])
        figures["auroc_per_group"] = over_groups(
            lambda at: auroc(positive[at], scores[at]), list(patients), resamples
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
    truth = np.array([task.index(sample.labels[task.name]) for sample in samples])
    given = probabilities.argmax(axis=1)
    figures: dict[str, Figure] = {}
    for place, label in enumerate(task.labels):
        own, score = truth == place, probabilities[:, place]
        figures[f"{label} recall"] = partial(_recall, truth, given, place)
        figures[f"{label} auroc"] = partial(_auroc, own, score)
        figures[f"{label} {AT_95}"] = partial(_sensitivity, own, score)
    found = over_groups_each(figures, [sample.groups[0] for sample in samples], resamples)
    return {
        label: {name: found[f"{label} {name}"] for name in ("recall", "auroc", AT_95)}
        for label in task.labels
    }


def _recall(
    truth: NDArray[np.intp], given: NDArray[np.intp], label: int, at: NDArray[np.intp]
) -> float | None:
    return recall(truth[at], given[at], label)


def _auroc(
    own: NDArray[np.bool_], score: NDArray[np.float64], at: NDArray[np.intp]
) -> float | None:
    return auroc(own[at], score[at])


def _sensitivity(
    own: NDArray[np.bool_], score: NDArray[np.float64], at: NDArray[np.intp]
) -> float | None:
    return sensitivity_at(own[at], score[at], _SPECIFICITY)


def judge_blast_shares(
    task: Task, samples: Sequence[Sample], probabilities: Probabilities, resamples: int = 500
) -> dict[str, Interval]:
    """Compare each patient's share of blasts as answered with the share as labelled.

    Red-cell precursors and smudges are not counted, as in a differential. Nothing is returned for a
    task without blasts.

    Args:
        task: What was asked.
        samples: Of one data set, all with a label of the task; the first group is the patient.
        probabilities: Shape (n, labels).
        resamples: For the intervals.

    Returns:
        "mean_absolute_error" and "mean_error" (positive: too many blasts), as shares of 1.
    """
    blasts = [place for place, label in enumerate(task.labels) if label in _BLASTS]
    if not blasts:
        return {}
    uncounted = [place for place, label in enumerate(task.labels) if label in _NOT_COUNTED]
    truth = np.array([task.index(sample.labels[task.name]) for sample in samples])
    given = probabilities.argmax(axis=1)
    owners = np.array([sample.groups[0] for sample in samples])
    errors, patients = [], []
    for patient in np.unique(owners).tolist():
        own = owners == patient
        shares = [_share(answers[own], blasts, uncounted) for answers in (truth, given)]
        if shares[0] is not None:
            # A patient of whom every cell was answered as uncounted has no blasts to report.
            errors.append((shares[1] or 0.0) - shares[0])
            patients.append(patient)
    if not errors:
        return {}
    apart = np.array(errors)
    return over_groups_each(
        {
            "mean_absolute_error": lambda at: float(np.abs(apart[at]).mean()),
            "mean_error": lambda at: float(apart[at].mean()),
        },
        patients,
        resamples,
    )


def _share(
    answers: NDArray[np.intp], blasts: Sequence[int], uncounted: Sequence[int]
) -> float | None:
    counted = answers[~np.isin(answers, uncounted)]
    return float(np.isin(counted, blasts).mean()) if len(counted) else None


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
            AT_95: over_groups(
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
