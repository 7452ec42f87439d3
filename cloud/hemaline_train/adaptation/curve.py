"""What so many labelled cells of a laboratory are worth, judged on patients who were kept back."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaline_train.adaptation.heads import Teaching
from hemaline_train.adaptation.lab_cells import LabCells
from hemaline_train.bundles.bundle import Bundle
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.data.tasks import Task
from hemaline_train.judging.metrics import (
    Interval,
    balanced_accuracy_figure,
    over_groups,
    recall,
)

COUNTS = (0, 5, 10, 20, 50)
"""Labelled cells of each class; after these, all that there are."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a learning curve.

    Attributes:
        count: Labelled cells of each class, fewer of a class that has not so many; None for all.
        accuracy: Balanced over the classes that the laboratory labelled.
        recalls: Class -> the part of its cells that was named so.
    """

    count: int | None
    accuracy: Interval
    recalls: Mapping[str, float]

    @property
    def about(self) -> str:
        """Return what was learned from, as a table says it."""
        if self.count is None:
            return "all"
        return "0, as it ships" if not self.count else str(self.count)

    def as_json(self) -> dict[str, Any]:
        """Return the point as JSON's types."""
        return asdict(self)


def learning_curve(
    teaching: Teaching, task: Task, resamples: int = 500
) -> Iterator[tuple[Point, dict[str, Logits]]]:
    """Yield a point for each number of cells, the last for all, and its out-of-part logits.

    Args:
        teaching: Everything that was labelled.
        task: The one that names cells.
        resamples: For the intervals.
    """
    cells = teaching.cells
    most = int(np.bincount(cells.classes[cells.learned & cells.own]).max())
    for count in (*(one for one in COUNTS if one < most), None):
        logits = teaching.out_of_part(count)
        yield _point(teaching.bundle, cells, task, count, logits, resamples), logits


def _point(
    bundle: Bundle,
    cells: LabCells,
    task: Task,
    count: int | None,
    logits: Mapping[str, Logits],
    resamples: int,
) -> Point:
    truth, given = cells.classes[cells.own], named(bundle, task, logits)[cells.own]
    owners = np.asarray(cells.groups)[cells.own].tolist()
    accuracy = over_groups(balanced_accuracy_figure(truth, given), owners, resamples)
    found = {label: recall(truth, given, place) for place, label in enumerate(task.labels)}
    recalls = {label: value for label, value in found.items() if value is not None}
    return Point(count, accuracy, recalls)


def named(bundle: Bundle, task: Task, logits: Mapping[str, Logits]) -> NDArray[np.intp]:
    """Return the place of each cell's likeliest label, shape (n,)."""
    likeliest: NDArray[np.intp] = bundle.average(logits, task).argmax(axis=1)
    return likeliest
