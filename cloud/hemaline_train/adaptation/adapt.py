"""From a bundle and a laboratory's labelled cells to a bundle of that laboratory, or a refusal."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import MANIFEST_FILE, Calibration
from hemaline_train.adaptation.curve import Point, learning_curve, unlabelled
from hemaline_train.adaptation.graphs import features_of, with_heads
from hemaline_train.adaptation.head import STRENGTH
from hemaline_train.adaptation.heads import Teaching, teaching_of
from hemaline_train.adaptation.lab_cells import LabCells, naming_task, read_lab_cells
from hemaline_train.bundles.bundle import Bundle, check_new, read_bundle, write_bundle
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.bundles.together import calibrated_together, judged_by
from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.learning.origin import sha256_of

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]


def adapt(
    shipped: Path,
    folder: Path,
    new: Path,
    cache: Path,
    tell: Tell,
    *,
    um_per_px: float | None = None,
    resamples: int = 500,
) -> list[Point]:
    """Write a bundle whose networks are the shipped ones and whose heads know a laboratory.

    Each patient is kept back once: answers to a patient's cells come from heads that learned from
    others. They make the learning curve, the verdict, the calibration, the operating points and the
    confusion; what is written then learned from all cells of the split `train`.

    Args:
        shipped: The bundle to begin with.
        folder: The laboratory's, with the manifest that `data adopt` writes.
        new: Of the new bundle.
        cache: Keeps crops and what the networks see in them.
        tell: Takes sentences about what was found.
        um_per_px: The optics of the pictures; None to judge each by its red cells.
        resamples: For the intervals.

    Returns:
        The learning curve.

    Raises:
        PermanentError: A bundle or the data cannot be read, see `read_lab_cells`; `bundle-exists`,
            `bundle-name`, or `worse`: the laboratory's own patients are read worse than before.
    """
    check_new(new)
    bundle = read_bundle(shipped)
    task = naming_task(bundle)
    cells = read_lab_cells(bundle, folder, cache, um_per_px)
    counts = Counter(task.labels[place] for place in cells.classes[cells.learned].tolist())
    tell(f"To learn from: {', '.join(f'{n} of {label}' for label, n in counts.most_common())}.")
    if cells.left_out:
        tell(cells.left_out)
    features = {}
    for network in bundle.networks:
        logger.info("%s looks at %d cells", network.name, len(cells.samples))
        features[network.name] = features_of(network.graph, cells.pixels, cache)
    teaching = teaching_of(bundle, cells, features)
    curve: list[Point] = []
    logits: dict[str, Logits] = {}
    for point, answered in learning_curve(teaching, task, resamples):
        curve.append(point)
        logits = answered
        tell(f"Cells of each class: {point.about}; balanced accuracy {point.accuracy}.")
    _refuse_worse(bundle, curve)
    if missing := unlabelled(task, cells):
        tell(
            f"No cell of {', '.join(missing)} was labelled: nothing here says whether the new "
            "bundle still finds these as the old one does."
        )
    provenance = _provenance(shipped, bundle, folder, cells, counts, curve, um_per_px)
    write_bundle(new, _adapted(teaching, new.name, logits, provenance))
    return curve


def _refuse_worse(bundle: Bundle, curve: list[Point]) -> None:
    before, after = (point.accuracy.value or 0.0 for point in (curve[0], curve[-1]))
    if after < before:
        raise PermanentError(
            "worse",
            f"Adapted, {bundle.bundle_id} would read this laboratory's patients worse than as "
            f"it is: balanced accuracy {after:.3f} against {before:.3f}. No bundle is written: "
            "label more cells, of more patients, or serve it as it is.",
        )


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


def _provenance(
    shipped: Path,
    bundle: Bundle,
    folder: Path,
    cells: LabCells,
    counts: Mapping[str, int],
    curve: list[Point],
    um_per_px: float | None,
) -> dict[str, Any]:
    return {
        **bundle.provenance,
        "adapted": {
            "from": bundle.bundle_id,
            "from_manifest_sha256": sha256_of(shipped / MANIFEST_FILE),
            "data_set": folder.absolute().name,
            "manifest_sha256": sha256_of(folder / MANIFEST_NAME),
            "um_per_px": um_per_px,
            "cells": dict(counts),
            "groups": len(set(cells.groups)),
            "strength": STRENGTH,
            "learning_curve": [point.as_json() for point in curve],
        },
    }
