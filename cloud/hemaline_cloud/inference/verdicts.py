"""From logits to what is said of a cell or a field: calibrated average, operating point. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hemaline_cloud.inference.heat_maps import HeatMap
from hemaline_cloud.inference.runtime import Logits
from hemaline_shared.calibrated_average import averaged, calibrated
from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import UNCLASSIFIED, Manifest, TaskEntry, View

AVERAGE = "average"

Answers: TypeAlias = dict[str, dict[str, dict[str, float]]]
"""Task -> network (and `average`) -> label -> calibrated probability."""
_Shares: TypeAlias = dict[str, NDArray[np.float64]]
"""Network (and `average`) -> probabilities of one task, shape (n, labels)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a bundle says of one cell; an untrained one says nothing but that it is a cell.

    Attributes:
        likeliest: The class with the highest average; `label` is `unclassified` where that stays
            below its operating point.
        probability: Of the likeliest class.
        probabilities: Of every cell task that makes sense for a cell of the likeliest class.
        disagreement: How far apart the networks are about the class: the mean total variation
            distance between each two of them, 0 to 1.
        heat_map: Where the crop looks like the likeliest class.
    """

    label: str
    likeliest: str | None = None
    probability: float | None = None
    probabilities: Answers | None = None
    disagreement: float | None = None
    heat_map: HeatMap | None = None


def judge(manifest: Manifest, logits: Mapping[str, Logits]) -> list[Verdict]:
    """Return a verdict for each cell's crop of a batch.

    Raises:
        PermanentError: `no-finite-logits` when a network gave something else than numbers.
    """
    crops = _checked(logits)
    task = manifest.cell_task
    if not manifest.trained or task is None:
        return [Verdict(UNCLASSIFIED)] * crops
    every = _every_task(manifest, logits, "cell")
    apart = _disagreement(manifest, task, every[task.name])
    return [_verdict(manifest, task, every, crop, float(apart[crop])) for crop in range(crops)]


def judge_fields(manifest: Manifest, logits: Mapping[str, Logits]) -> list[Answers]:
    """Return what a trained bundle says of each field's picture of a batch.

    Raises:
        PermanentError: `no-finite-logits` when a network gave something else than numbers.
    """
    pictures = _checked(logits)
    every = _every_task(manifest, logits, "field")
    tasks = [task for task in manifest.tasks if task.view == "field"]
    return [
        {task.name: _answer(task, every[task.name], picture) for task in tasks}
        for picture in range(pictures)
    ]


def _checked(logits: Mapping[str, Logits]) -> int:
    """Return the number of pictures, all of whose logits are numbers."""
    broken = [name for name, values in logits.items() if not np.isfinite(values).all()]
    if broken:
        raise PermanentError(
            "no-finite-logits", f"network {broken[0]} gave no finite number for a crop"
        )
    return len(next(iter(logits.values())))


def _every_task(manifest: Manifest, logits: Mapping[str, Logits], view: View) -> dict[str, _Shares]:
    places = manifest.slices()
    shares: dict[str, _Shares] = {}
    for task in manifest.tasks:
        if task.view != view:
            continue
        calibration = {entry.name: entry.calibrated(task.name) for entry in manifest.networks}
        given = {name: logits[name][:, places[task.name]] for name in calibration}
        by_network = calibrated(given, calibration)
        shares[task.name] = {**by_network, AVERAGE: averaged(by_network, calibration)}
    return shares


def _disagreement(manifest: Manifest, task: TaskEntry, shares: _Shares) -> NDArray[np.float64]:
    """Two networks' distance counts as much as both do in the average."""
    pairs = list(combinations(manifest.networks, 2))
    weights = {one.name: one.calibrated(task.name).weight for one in manifest.networks}
    parts = [weights[one.name] * weights[two.name] for one, two in pairs]
    if not any(parts):
        return np.zeros(len(shares[AVERAGE]))
    apart = [np.abs(shares[one.name] - shares[two.name]).sum(axis=1) / 2 for one, two in pairs]
    return np.asarray(np.average(apart, axis=0, weights=parts), np.float64)


def _verdict(
    manifest: Manifest, task: TaskEntry, every: Mapping[str, _Shares], crop: int, apart: float
) -> Verdict:
    average = every[task.name][AVERAGE][crop]
    best = int(np.argmax(average))
    likeliest, probability = task.labels[best], float(average[best])
    label = likeliest if probability >= task.operating_points[likeliest] else UNCLASSIFIED
    # An answer to a question that makes no sense for this cell would look as if it meant something.
    # The likeliest class decides: cells that are hard to name are those of which APL is asked most.
    asked = [
        one
        for one in manifest.tasks
        if one.view == "cell" and (not one.asked_of or likeliest in one.asked_of)
    ]
    answers = {one.name: _answer(one, every[one.name], crop) for one in asked}
    return Verdict(label, likeliest, probability, answers, apart)


def _answer(task: TaskEntry, shares: _Shares, row: int) -> dict[str, dict[str, float]]:
    return {
        name: dict(zip(task.labels, map(float, values[row]), strict=True))
        for name, values in shares.items()
    }
