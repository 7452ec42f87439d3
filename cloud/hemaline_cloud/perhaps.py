"""What a cell perhaps is, where the model is not sure enough to say so. Pure.

It is shown beside "unclassified", or more exactly than a coarse class, and counted nowhere: what is
counted stands on operating points that were measured.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hemaline_cloud.cell_classes import CELL_CLASSES, MODEL_CALLS
from hemaline_cloud.database.answers import AVERAGE
from hemaline_cloud.review.report import NO_CLASS

MORE_LIKELY_THAN_NOT = 0.5


class Perhaps(NamedTuple):
    """A class, and how probable the networks together call it."""

    label: str
    probability: float


def perhaps(
    label: str | None, task: str, answers: Mapping[str, Mapping[str, Mapping[str, Any]]] | None
) -> Perhaps | None:
    """Return what a cell more likely is than not, as finely as that can be said.

    A finer class is named where it is more likely than not and both questions agree: it lies within
    the class that the cell has, or that it would have were it sure. Else an unsure cell gets that
    coarser class, if that is more likely than not.

    Args:
        label: What the model calls it.
        task: That named it.
        answers: Task -> network and `average` -> label -> probability.

    Returns:
        None where nothing is more likely than not, or the label says it all.
    """
    named = (answers or {}).get(task, {}).get(AVERAGE)
    if not named or label is None:
        return None
    coarse = _likeliest(named)
    finer = _finer(task, answers or {})
    if finer and finer.probability >= MORE_LIKELY_THAN_NOT and finer.label not in named:
        within = MODEL_CALLS.get(finer.label)
        if within == (coarse.label if label == NO_CLASS else label):
            return finer
        if label == NO_CLASS and within not in named:
            return finer  # a class that the naming task has no word for
    sure = label != NO_CLASS or coarse.probability < MORE_LIKELY_THAN_NOT
    return None if sure else coarse


def _finer(task: str, answers: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Perhaps | None:
    """Return the likeliest answer to another question that asks for classes of cells."""
    for name, networks in answers.items():
        average = networks.get(AVERAGE, {})
        if name != task and average and average.keys() <= set(CELL_CLASSES):
            return _likeliest(average)
    return None


def _likeliest(average: Mapping[str, float]) -> Perhaps:
    label = max(average, key=average.__getitem__)
    return Perhaps(label, average[label])
