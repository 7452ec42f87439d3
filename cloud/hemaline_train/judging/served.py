"""What the worker makes of answers: below its operating point a label is not given."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import APL, Task
from hemaline_train.judging.blasts import judge_blast_shares
from hemaline_train.judging.metrics import Interval, over_groups, over_groups_each
from hemaline_train.judging.subjects import Probabilities, by_patient, truth_of


def judge_served(
    task: Task,
    samples: Sequence[Sample],
    probabilities: Probabilities,
    points: Sequence[float],
    resamples: int = 500,
) -> dict[str, Interval]:
    """Return figures of what is shown and flagged.

    Args:
        task: The one that names cells, or `APL`.
        samples: Of one data set, all with a label of the task; the first group is the patient.
        probabilities: Calibrated, shape (n, labels).
        points: The operating point of each label.
        resamples: For the intervals.

    Returns:
        Of cells, the share of unclassified ones, and of what is left the blast shares' errors; of
        APL, how many patients with it are flagged, and how many without are not.
    """
    if task == APL:
        return _judge_flag(task, samples, probabilities, points[1], resamples)
    given = served_answers(probabilities, points)
    sure = given >= 0
    groups = [sample.groups[0] for sample in samples]
    shares = judge_blast_shares(task, samples, given, resamples)
    return {
        "unclassified_share": over_groups(lambda at: 1 - _share(sure[at]), groups, resamples),
        **{f"blast_share_{name}": figure for name, figure in shares.items()},
    }


def served_answers(probabilities: Probabilities, points: Sequence[float]) -> NDArray[np.intp]:
    """Return the place of each cell's label among the task's, -1 for an unclassified one."""
    best = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) >= np.asarray(points)[best]
    return np.where(sure, best, -1)


def _judge_flag(
    task: Task,
    samples: Sequence[Sample],
    probabilities: Probabilities,
    point: float,
    resamples: int,
) -> dict[str, Interval]:
    """Judge the flag of each patient whose mean answer over labelled cells reaches the point."""
    owners = [sample.groups[0] for sample in samples]
    patients = by_patient(truth_of(task, samples), owners, probabilities[:, 1])
    right = (patients.mean >= point) == patients.positive
    kinds = {"sensitivity": patients.positive, "specificity": ~patients.positive}

    def among(kind: NDArray[np.bool_], at: NDArray[np.intp]) -> float | None:
        return _share(right[at][kind[at]]) if kind[at].any() else None

    figures = {
        f"flag_{name}_per_group": lambda at, kind=kind: among(kind, at)
        for name, kind in kinds.items()
    }
    return over_groups_each(figures, patients.names, resamples)


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean())
