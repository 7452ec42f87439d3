"""May an adapted bundle be served: is it better at home, and still finds what nobody taught?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.adaptation.curve import named
from hemaline_train.adaptation.heads import Teaching
from hemaline_train.adaptation.lab_cells import LabCells, unlabelled
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.data.tasks import Task
from hemaline_train.judging.blasts import BLASTS
from hemaline_train.judging.metrics import Figure, Interval, balanced_accuracy, over_groups, recall


@dataclass(frozen=True, slots=True)
class Kept:
    """How often a class that only folders beside the laboratory's have is named so."""

    cells: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What adapting changed for cells that the heads had not learned from.

    Attributes:
        gain: Of balanced accuracy in the laboratory; its interval resamples patients, each with
            the answers before and after, so that what both find hard widens nothing.
        loss: The same over the classes of `kept`; None where there are none.
        kept: Class -> what became of it.
        unguarded: Classes of which no cell was at hand.
    """

    gain: Interval
    loss: Interval | None
    kept: Mapping[str, Kept]
    unguarded: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON's types."""
        return asdict(self)


def refuse_unguarded_blasts(task: Task, cells: LabCells) -> None:
    """Check that cells which count as blasts are among those that are learned from.

    Raises:
        PermanentError: `blasts-unguarded`: heads could learn to call them something else, and
            nobody would see it.
    """
    blasts = [label for label in task.labels if label in BLASTS]
    if blasts and set(blasts) <= set(unlabelled(task, cells)):
        raise PermanentError(
            "blasts-unguarded",
            f"No cell of {', '.join(blasts)} was labelled, so nothing would say whether the new "
            "bundle still finds them. Label some, or name a folder that has some with --beside: a "
            "known set of docs/training.md, or another laboratory's cells.",
        )


def weigh(
    teaching: Teaching,
    task: Task,
    before: Mapping[str, Logits],
    after: Mapping[str, Logits],
    resamples: int,
) -> Verdict:
    """Compare what shipped and adapted heads say of cells that neither learned from.

    Args:
        teaching: What was labelled.
        task: The one that names cells.
        before: Network name -> logits of the shipped heads.
        after: Network name -> logits of heads that never saw a cell's part.
        resamples: For the intervals.
    """
    cells = teaching.cells
    answers = [named(teaching.bundle, task, one) for one in (before, after)]
    places = np.unique(cells.classes[~cells.own]).tolist()
    return Verdict(
        _change(cells, answers, cells.own, resamples),
        _change(cells, answers, ~cells.own, resamples) if places else None,
        {task.labels[place]: _kept(cells, answers, place) for place in places},
        tuple(unlabelled(task, cells)),
    )


def refuse(bundle_id: str, verdict: Verdict, *, unproven: bool) -> None:
    """Refuse a bundle that reads its laboratory worse, or has lost what nobody taught it there.

    Args:
        bundle_id: Of the bundle that was adapted.
        verdict: What it changed.
        unproven: Whether a gain that may be chance is enough.

    Raises:
        PermanentError: `worse`, `unproven` or `forgotten`.
    """
    gain, loss = verdict.gain, verdict.loss
    better = "label more cells, of more patients, or serve it as it is."
    if gain.value is None or gain.value < 0:
        raise PermanentError(
            "worse",
            f"Adapted, {bundle_id} would read this laboratory's patients worse than as it is: "
            f"balanced accuracy changes by {gain}. No bundle is written: {better}",
        )
    if not unproven and (gain.low is None or gain.low <= 0):
        raise PermanentError(
            "unproven",
            f"Nothing shows that {bundle_id} would read this laboratory's patients better: "
            f"balanced accuracy changes by {gain}{_of_few(gain)}. No bundle is written: {better} "
            "--unproven writes it all the same.",
        )
    if loss is not None and _surely_below_0(loss):
        lost = ", ".join(
            f"{label} {one.before:.2f} to {one.after:.2f}"
            for label, one in verdict.kept.items()
            if one.after < one.before
        )
        raise PermanentError(
            "forgotten",
            f"Adapted, {bundle_id} would miss classes that nobody labelled here: {lost} of their "
            "cells are found. No bundle is written: label some of these as well.",
        )


def _of_few(gain: Interval) -> str:
    return ", and so few patients give no interval" if gain.low is None else ""


def _surely_below_0(change: Interval) -> bool:
    """Tell whether something was lost; where so few groups give no interval, the figure counts."""
    most = change.value if change.high is None else change.high
    return most is not None and most < 0


def _change(
    cells: LabCells, answers: list[NDArray[np.intp]], of: NDArray[np.bool_], resamples: int
) -> Interval:
    truth, before, after = (one[of] for one in (cells.classes, *answers))
    owners = np.asarray(cells.groups)[of].tolist()
    return over_groups(_gained(truth, before, after), owners, resamples)


def _gained(truth: NDArray[np.intp], before: NDArray[np.intp], after: NDArray[np.intp]) -> Figure:
    """Return the difference of balanced accuracies as a figure to resample."""
    labels = np.unique(truth)

    def gained(at: NDArray[np.intp]) -> float | None:
        first, then = (balanced_accuracy(truth[at], one[at], labels) for one in (before, after))
        return None if first is None or then is None else then - first

    return gained


def _kept(cells: LabCells, answers: list[NDArray[np.intp]], place: int) -> Kept:
    own = cells.classes == place
    before, after = (recall(cells.classes, one, place) or 0.0 for one in answers)
    return Kept(int(own.sum()), before, after)
