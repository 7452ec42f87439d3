"""Where in its crop a cell looks like its class: the networks' activation maps, made small. Pure.

A network's map of a class has that class's logit as its mean. What decides between classes is how
far one stands above the others, so the map that is kept is the likeliest class's minus the mean of
all classes of the task: its own mean is the class's lead. (Class activation mapping: Zhou et al.,
CVPR 2016.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_cloud.inference.runtime import Maps
from hemaline_shared.model_manifest import Manifest


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A coarse grid over a crop: one byte a square, row by row, 255 where the lead is largest."""

    width: int
    values: bytes


def heat_maps(
    manifest: Manifest, maps: Mapping[str, Maps], likeliest: Sequence[str]
) -> list[HeatMap | None]:
    """Return a map for each crop, or None where no square speaks for its class.

    Args:
        manifest: Of a bundle that names cells.
        maps: Network name -> its activation maps; networks may differ in height and width.
        likeliest: The class of each crop, of the manifest's cell task.
    """
    task = manifest.cell_task
    assert task is not None
    places = [task.labels.index(label) for label in likeliest]
    leads = [
        _leads(
            maps[entry.name][:, manifest.slices()[task.name]],
            places,
            entry.calibrated(task.name).temperature,
        )
        for entry in manifest.networks
    ]
    height, width = np.max([lead.shape[1:] for lead in leads], axis=0)
    average = np.average(
        [_resized(lead, int(height), int(width)) for lead in leads],
        axis=0,
        weights=[entry.calibrated(task.name).weight for entry in manifest.networks],
    )
    return [_heat_map(lead) for lead in average]


def _leads(maps: Maps, places: Sequence[int], temperature: float) -> NDArray[np.float32]:
    """Return how far each crop's class is ahead in each square, shape (n, h, w)."""
    own = maps[np.arange(len(places)), places]
    return np.asarray((own - maps.mean(axis=1)) / temperature, np.float32)


def _resized(leads: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    if leads.shape[1:] == (height, width):
        return leads
    grown = [cv2.resize(lead, (width, height), interpolation=cv2.INTER_LINEAR) for lead in leads]
    return np.asarray(grown, np.float32)


def _heat_map(lead: NDArray[np.float32]) -> HeatMap | None:
    heat = np.maximum(lead, 0)
    # A map is an explanation: one that is no number must not take the result with it.
    if not np.isfinite(heat).all() or not heat.any():
        return None
    scaled = np.rint(heat / heat.max() * 255).astype(np.uint8)
    return HeatMap(lead.shape[1], scaled.tobytes())
