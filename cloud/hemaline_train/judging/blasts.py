"""Blasts: told apart from lymphocytes, and each patient's share of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import CELL_CLASS, Task
from hemaline_train.judging.metrics import (
    AT_95,
    Interval,
    auroc_figure,
    over_groups_each,
    sensitivity_figure,
)
from hemaline_train.judging.subjects import Probabilities, truth_of

BLAST_TASK = "blast-vs-lymphocyte"
BLASTS = ("blast", "promonocyte")
OUTSIDE_DIFFERENTIAL = ("erythroblast", "smudge")
"""Labels that are counted beside the differential."""


def judge_blast_shares(
    task: Task, samples: Sequence[Sample], given: NDArray[np.intp], resamples: int = 500
) -> dict[str, Interval]:
    """Compare each patient's share of blasts as answered with the share as labelled.

    Red-cell precursors, smudges and cells without an answer are not counted, as in a differential.
    Nothing is returned for a task without blasts.

    Args:
        task: What was asked.
        samples: Of one data set, all with a label of the task; the first group is the patient.
        given: Places among the task's labels, shape (n,); -1 for a cell without an answer.
        resamples: For the intervals.

    Returns:
        "mean_absolute_error" and "mean_error" (positive: too many blasts), as shares of 1.
    """
    truth, owners = truth_of(task, samples), np.array([sample.groups[0] for sample in samples])
    errors = {
        patient: error
        for patient in np.unique(owners).tolist()
        for error in (_blast_error(task, truth[owners == patient], given[owners == patient]),)
        if error is not None
    }
    if not errors:
        return {}
    apart = np.array(list(errors.values()))
    return over_groups_each(
        {
            "mean_absolute_error": lambda at: float(np.abs(apart[at]).mean()),
            "mean_error": lambda at: float(apart[at].mean()),
        },
        list(errors),
        resamples,
    )


def _blast_error(task: Task, truth: NDArray[np.intp], given: NDArray[np.intp]) -> float | None:
    """Return how far one patient's share of blasts is off; None where no share is labelled."""
    labelled = _blast_share(task, truth)
    # A patient of whom every cell was answered as uncounted has no blasts to report.
    return None if labelled is None else (_blast_share(task, given) or 0.0) - labelled


def _blast_share(task: Task, answers: NDArray[np.intp]) -> float | None:
    blasts = [place for place, label in enumerate(task.labels) if label in BLASTS]
    uncounted = [place for place, label in enumerate(task.labels) if label in OUTSIDE_DIFFERENTIAL]
    counted = answers[~np.isin(answers, [-1, *uncounted])]
    return float(np.isin(counted, blasts).mean()) if blasts and len(counted) else None


def judge_blasts(
    samples: Sequence[Sample], probabilities: Probabilities, resamples: int
) -> dict[str, dict[str, Interval]]:
    """Judge blasts (APL's promyelocytes count as such) against ordinary lymphocytes."""
    kinds = np.array([blast_kind(sample) for sample in samples])
    homes = np.array([sample.data_set.name for sample in samples])
    report = {}
    for home in dict.fromkeys(homes[kinds >= 0].tolist()):
        at = np.flatnonzero((kinds >= 0) & (homes == home))
        positive, score = kinds[at] == 1, blast_score(probabilities[at])
        report[f"{BLAST_TASK}@{home}"] = over_groups_each(
            {
                "auroc": auroc_figure(positive, score),
                AT_95: sensitivity_figure(positive, score),
            },
            [samples[place].groups[0] for place in at.tolist()],
            resamples,
        )
    return report


def blast_kind(sample: Sample) -> int:
    """Return 1 for a blast, 0 for an ordinary lymphocyte, -1 for what is neither."""
    label = sample.labels.get("cell-fine", "")
    apl = label == "promyelocyte" and sample.labels.get("apl") == "APL"
    if label in BLASTS or apl:
        return 1
    return 0 if label == "lymphocyte" else -1


def blast_score(probabilities: Probabilities) -> NDArray[np.float64]:
    """Return how much more a cell looks like a blast or its next stage than like a lymphocyte."""
    blast, immature, lymphocyte = (
        probabilities[:, CELL_CLASS.index(label)]
        for label in ("blast", "immature-granulocyte", "lymphocyte")
    )
    return np.asarray(np.log(blast + immature + 1e-9) - np.log(lymphocyte + 1e-9), np.float64)
