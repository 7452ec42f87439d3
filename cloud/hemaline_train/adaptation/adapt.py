"""From a bundle and a laboratory's labelled cells to a bundle of that laboratory, or a refusal."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hemaline_shared.model_manifest import MANIFEST_FILE, Calibration
from hemaline_train.adaptation.curve import Point, learning_curve
from hemaline_train.adaptation.graphs import features_of, with_heads
from hemaline_train.adaptation.head import STRENGTH
from hemaline_train.adaptation.heads import Teaching, teaching_of
from hemaline_train.adaptation.lab_cells import (
    LabCells,
    naming_task,
    read_lab_cells,
    with_cells_beside,
)
from hemaline_train.adaptation.verdict import Verdict, refuse, refuse_unguarded_blasts, weigh
from hemaline_train.bundles.bundle import Bundle, check_new, read_bundle, write_bundle
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.bundles.together import calibrated_together, judged_by
from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.data.tasks import Task
from hemaline_train.learning.origin import sha256_of

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LabFolders:
    """Where labelled cells lie, each folder with the manifest that `data adopt` writes.

    Attributes:
        home: The laboratory's.
        um_per_px: The optics of its pictures; None to judge each by its red cells.
        beside: Others': of classes that the laboratory did not label, their cells are learned from
            and judged, so that heads which never see such a cell at home do not unlearn it.
    """

    home: Path
    um_per_px: float | None = None
    beside: Sequence[Path] = ()


def adapt(
    shipped: Path,
    folders: LabFolders,
    new: Path,
    cache: Path,
    tell: Tell,
    *,
    unproven: bool = False,
    resamples: int = 500,
) -> list[Point]:
    """Write a bundle whose networks are the shipped ones and whose heads know a laboratory.

    Each patient is kept back once: answers to a patient's cells come from heads that learned from
    others. They make the learning curve, the verdict, the calibration, the operating points and the
    confusion; what is written then learned from all cells of the split `train`.

    Args:
        shipped: The bundle to begin with.
        folders: The laboratory's cells, and others'.
        new: Of the new bundle.
        cache: Keeps crops and what the networks see in them.
        tell: Takes sentences about what was found.
        unproven: Whether to write a bundle though its gain may be chance.
        resamples: For the intervals.

    Returns:
        The learning curve.

    Raises:
        PermanentError: A bundle or the data cannot be read, see `read_lab_cells`; `bundle-exists`,
            `bundle-name`, `blasts-unguarded`, or the verdict is against it, see `verdict.refuse`.
    """
    check_new(new)
    bundle = read_bundle(shipped)
    task = naming_task(bundle)
    teaching = _teaching(bundle, task, folders, cache, tell)
    curve: list[Point] = []
    answered: list[dict[str, Logits]] = []
    for point, logits in learning_curve(teaching, task, resamples):
        curve.append(point)
        answered = [*answered[:1], logits]
        tell(f"Cells of each class: {point.about}; balanced accuracy {point.accuracy}.")
    verdict = weigh(teaching, task, answered[0], answered[-1], resamples)
    _tell_verdict(tell, verdict)
    refuse(bundle.bundle_id, verdict, unproven=unproven)
    adapted = {
        "from": bundle.bundle_id,
        "from_manifest_sha256": sha256_of(shipped / MANIFEST_FILE),
        **_learned_from(task, teaching.cells, folders),
        "learning_curve": [point.as_json() for point in curve],
        "verdict": verdict.as_json(),
    }
    provenance = {**bundle.provenance, "adapted": adapted}
    write_bundle(new, _adapted(teaching, new.name, answered[-1], provenance))
    return curve


def _teaching(bundle: Bundle, task: Task, folders: LabFolders, cache: Path, tell: Tell) -> Teaching:
    """Read the cells and let every network look at them."""
    cells = read_lab_cells(bundle, folders.home, cache, folders.um_per_px)
    counts = _counts(task, cells)
    tell(f"To learn from: {', '.join(f'{n} of {label}' for label, n in counts.items())}.")
    if cells.left_out:
        tell(cells.left_out)
    for other in folders.beside:
        cells = with_cells_beside(bundle, cells, other, cache)
    refuse_unguarded_blasts(task, cells)
    features = {}
    for network in bundle.networks:
        logger.info("%s looks at %d cells", network.name, len(cells.samples))
        features[network.name] = features_of(network.graph, cells.pixels, cache)
    return teaching_of(bundle, cells, features)


def _tell_verdict(tell: Tell, verdict: Verdict) -> None:
    tell(f"Gained on patients who were kept back: {verdict.gain} of balanced accuracy.")
    for label, one in verdict.kept.items():
        tell(
            f"{label}, of which no cell was labelled here: of {one.cells} beside, {one.before:.2f} "
            f"are found as it ships and {one.after:.2f} adapted."
        )
    if verdict.unguarded:
        tell(
            f"No cell of {', '.join(verdict.unguarded)} was labelled: nothing here says whether "
            "the new bundle still finds these as the old one does. --beside takes a folder that "
            "has some."
        )


def _learned_from(task: Task, cells: LabCells, folders: LabFolders) -> dict[str, Any]:
    owners = {one for one, own in zip(cells.groups, cells.own.tolist(), strict=True) if own}
    beside = {one.absolute().name: sha256_of(one / MANIFEST_NAME) for one in folders.beside}
    return {
        "data_set": folders.home.absolute().name,
        "manifest_sha256": sha256_of(folders.home / MANIFEST_NAME),
        "um_per_px": folders.um_per_px,
        "cells": _counts(task, cells),
        "groups": len(owners),
        "beside": beside,
        "strength": STRENGTH,
    }


def _counts(task: Task, cells: LabCells) -> dict[str, int]:
    """Return how many cells of each class the laboratory gives to learn from, most first."""
    own = cells.classes[cells.learned & cells.own].tolist()
    return dict(Counter(task.labels[place] for place in own).most_common())


def _adapted(
    teaching: Teaching, name: str, logits: Mapping[str, Logits], provenance: Mapping[str, Any]
) -> Bundle:
    """Return the bundle with heads that learned from all, calibrated by those that did not."""
    bundle, cells = teaching.bundle, teaching.cells
    heads = teaching.learned(cells.drawn(None, None, seed=0))
    networks = tuple(
        replace(
            network,
            graph=with_heads(network.graph, heads[network.name]),
            calibration={
                task: _worked_in(one) if task in teaching.allowed else one
                for task, one in network.calibration.items()
            },
        )
        for network in bundle.networks
    )
    # New heads are as sure as they happen to be: which of their answers are enough, nobody judged.
    begun = replace(
        bundle, bundle_id=name, networks=networks, provenance=dict(provenance), first_look=None
    )
    judged = [judged_by(naming_task(bundle), cells.samples)]
    found = calibrated_together(begun, judged, logits)
    return replace(
        found,
        networks=tuple(
            replace(one, calibration={**old.calibration, **one.calibration})
            for one, old in zip(found.networks, networks, strict=True)
        ),
        points={**bundle.points, **found.points},
    )


def _worked_in(one: Calibration) -> Calibration:
    """Return the calibration of a head that has its temperature worked in."""
    return one.model_copy(update={"temperature": 1.0})
