"""The nucleus and the whole of the cell in the middle of a crop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage

WORKING_UM_PER_PX = 0.2
"""The scale at which crops are segmented: a nucleus is 40 pixels across, a lobe 10."""

Flags: TypeAlias = NDArray[np.bool_]
"""Shape (height, width)."""

_LEAST_UM2 = 5.0
"""Smaller specks are platelets, granules or dirt."""

_NEAR_MIDDLE_UM = 3.5
_LOBES_APART_UM = 2.5
_WIDEST_NUCLEUS_UM = 15.0
_RED_CELL_BRIDGE_UM = 2.2
"""Opening by a disc this wide cuts off the neighbours that only touch the cell."""


@dataclass(frozen=True, slots=True, eq=False)
class CellMasks:
    """One cell: the mask of its nucleus, and of the whole of it, nucleus included."""

    nucleus: Flags
    cell: Flags

    @property
    def cytoplasm(self) -> Flags:
        """The cell without its nucleus."""
        return self.cell & ~self.nucleus


Segmenter: TypeAlias = Callable[[RgbImage], CellMasks]
"""From a crop at `WORKING_UM_PER_PX` with a cell in its middle to that cell's masks."""


def to_working_scale(image: RgbImage, um_per_px: float) -> RgbImage:
    """Resample an image of any scale to `WORKING_UM_PER_PX`."""
    zoom = um_per_px / WORKING_UM_PER_PX
    height, width = image.shape[:2]
    size = (max(8, round(width * zoom)), max(8, round(height * zoom)))
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def disc(across_um: float) -> NDArray[np.uint8]:
    """Return a disc as a structuring element at the working scale."""
    across = max(3, round(across_um / WORKING_UM_PER_PX) | 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across)), np.uint8)


def middle_nucleus(nuclear: Flags) -> Flags:
    """Keep the nucleus in the middle of a crop, with all of its lobes.

    Args:
        nuclear: What has the colour of nuclei.
    """
    opened = cv2.morphologyEx(nuclear.astype(np.uint8), cv2.MORPH_OPEN, disc(0.8))
    count, labels, boxes, middles = cv2.connectedComponentsWithStats(opened, connectivity=8)
    areas = boxes[:, cv2.CC_STAT_AREA] * WORKING_UM_PER_PX**2
    candidates = [index for index in range(1, count) if areas[index] >= _LEAST_UM2]
    if not candidates:
        return np.zeros(nuclear.shape, bool)
    centre = np.array(nuclear.shape[::-1]) / 2
    away = np.hypot(*(middles - centre).T) * WORKING_UM_PER_PX
    chosen = max(candidates, key=lambda i: areas[i] / (1 + (away[i] / _NEAR_MIDDLE_UM) ** 2))
    nucleus = labels == chosen
    for index in sorted(candidates, key=lambda i: away[i]):
        lobe = labels == index
        if index != chosen and _belongs(lobe, nucleus):
            nucleus |= lobe
    return filled(nucleus)


def _belongs(lobe: Flags, nucleus: Flags) -> bool:
    gap = cv2.distanceTransform((~nucleus).astype(np.uint8), cv2.DIST_L2, 3)[lobe].min()
    points = cv2.findNonZero((lobe | nucleus).astype(np.uint8))
    _, radius = cv2.minEnclosingCircle(points)
    wide = 2 * radius * WORKING_UM_PER_PX
    return bool(gap * WORKING_UM_PER_PX <= _LOBES_APART_UM and wide <= _WIDEST_NUCLEUS_UM)


def cell_round(nucleus: Flags, matter: Flags, reach_um: float) -> Flags:
    """Return the cell round a nucleus: what hangs together with it and lies within reach.

    Args:
        nucleus: As `middle_nucleus` gives it.
        matter: What may be cytoplasm.
        reach_um: How far from the nucleus' convex hull the cell may go.
    """
    if not nucleus.any():
        return nucleus.copy()
    core = hull(nucleus)
    distance = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 3)
    within = (matter & (distance * WORKING_UM_PER_PX <= reach_um)) | nucleus
    opened = cv2.morphologyEx(within.astype(np.uint8), cv2.MORPH_OPEN, disc(_RED_CELL_BRIDGE_UM))
    opened[nucleus] = 1
    _, labels = cv2.connectedComponents(opened, connectivity=4)
    own = np.unique(labels[nucleus])
    cell = filled(np.isin(labels, own[own > 0]))
    smooth = cv2.morphologyEx(cell.astype(np.uint8), cv2.MORPH_CLOSE, disc(1.4))
    return np.asarray(smooth > 0, bool) | nucleus


def hull(mask: Flags) -> Flags:
    """Return the convex hull of a mask that is not empty."""
    points = cv2.convexHull(cv2.findNonZero(mask.astype(np.uint8)))
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(canvas, points, 1)
    return np.asarray(canvas > 0, bool)


def filled(mask: Flags) -> Flags:
    """Fill the holes of a mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(canvas, contours, -1, 1, cv2.FILLED)
    return np.asarray(canvas > 0, bool)


def dice(one: Flags, other: Flags) -> float:
    """Return twice the shared area over the sum of both (Dice 1945); 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0
