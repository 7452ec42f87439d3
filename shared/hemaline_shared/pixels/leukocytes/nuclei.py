"""Cut the purple map into nuclei: thresholds, and splits of touching nuclei."""

from dataclasses import replace

import cv2
import numpy as np

from hemaline_shared.pixels.leukocytes.lobes import join_neighbours
from hemaline_shared.pixels.leukocytes.pieces import UM2_PER_PX, WORKING_UM_PER_PX, Piece
from hemaline_shared.pixels.stain import FloatImage, Mask

_FAINTEST = 0.2
"""Purple, natural-log units: the palest labelled nuclei (chula-wbc5) have 0.33 on average."""

_ORDINARY_PERCENTILE = 50
_OVER_ORDINARY = 2.0
"""A nucleus over the median of all that is stained."""

_CERTAIN = 0.9
"""Purple that no red cell reaches: where nothing but nuclei is stained, the median is one."""

_OF_ITS_DARKEST = 0.5
"""A nucleus ends where purple falls to half of its own dark part: its edge, whatever the stain."""

_THINNEST_PX = 5
"""Opening by 1.5 µm removes the defocus rings of red cells and keeps the thinnest lobes."""

_SMALLEST_LOBE_UM2 = 2.5
_SMALLEST_CUT_UM2 = 55.0
"""A nucleus cut off another is at least this large (8.4 µm across), as blasts' are: lobes of
neutrophils and eosinophils, which touch in the same way, are smaller."""

_ONE_DISC = 0.92
"""Two discs that touch fill 0.90 of their convex hull; one nucleus without a dent fills more."""

_CUT_SOLIDITY = 0.85
_CUT_RADIUS_UM = 2.0
_APART_UM = 2.0
_NECK = 0.75
"""Touching nuclei meet at a neck thinner than this part of the thinner one; a kidney does not."""

_SEED = 0.6
"""Radius of the disc that claims a nucleus, over the inscribed one: discs never touch."""


def find_nuclei(tint: FloatImage, stained: Mask) -> list[list[Piece]]:
    """Return each nucleus as the pieces (lobes) that make it up.

    Args:
        tint: How purple a pixel is, shape (height, width), at `WORKING_UM_PER_PX`.
        stained: 1 where there is a cell of any kind, same shape.
    """
    core = _core(tint, stained)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
    pieces: list[Piece] = []
    for index in range(1, count):
        x, y, width, height, area = boxes[index]
        if area * UM2_PER_PX < _SMALLEST_LOBE_UM2:
            continue
        mask = (labels[y : y + height, x : x + width] == index).astype(np.uint8)
        pieces += _split(mask, x, y)
    return join_neighbours(pieces)


def _core(tint: FloatImage, stained: Mask) -> Mask:
    ordinary = tint[::2, ::2][stained[::2, ::2] > 0]
    usual = float(np.percentile(ordinary, _ORDINARY_PERCENTILE)) if ordinary.size else 0.0
    threshold = float(np.clip(_OVER_ORDINARY * usual, _FAINTEST, _CERTAIN))
    purple = (tint > threshold).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(purple, connectivity=8)
    core = np.zeros_like(purple)
    for index in range(1, count):
        x, y, width, height, area = boxes[index]
        if area * UM2_PER_PX < _SMALLEST_LOBE_UM2:
            continue
        window = np.s_[y : y + height, x : x + width]
        values, inside = tint[window], labels[window] == index
        edge = max(threshold, _OF_ITS_DARKEST * float(np.percentile(values[inside], 85)))
        core[window] |= (inside & (values > edge)).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_THINNEST_PX, _THINNEST_PX))
    return np.asarray(cv2.morphologyEx(core, cv2.MORPH_OPEN, disc), np.uint8)


def _piece(mask: Mask, x: int, y: int) -> Piece:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = np.asarray(max(contours, key=len) + np.array([x, y]), np.int32)
    area = int(np.count_nonzero(mask))
    hull = cv2.convexHull(outline)
    # The outline runs through pixel centres: half a pixel all round is missing from its area.
    hull_area = cv2.contourArea(hull) + cv2.arcLength(hull, closed=True) / 2 + 1
    return Piece(outline, area * UM2_PER_PX, min(1.0, area / hull_area))


def _split(mask: Mask, x: int, y: int) -> list[Piece]:
    """Cut touching nuclei apart at their necks, if every part is a plausible nucleus."""
    one = _piece(mask, x, y)
    if one.area_um2 < 2 * _SMALLEST_CUT_UM2 or one.solidity > _ONE_DISC:
        return [one]
    parts = [_piece(part, x, y) for part in _cut_at_necks(mask)]
    if len(parts) < 2 or min(part.area_um2 for part in parts) < _SMALLEST_CUT_UM2:
        return [one]
    if min(part.solidity for part in parts) < _CUT_SOLIDITY:
        return [one]
    return [replace(part, cut_off=True) for part in parts]


def _cut_at_necks(mask: Mask) -> list[Mask]:
    """Give each pixel to the nearest of the discs inscribed in the mask."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    contours, _ = cv2.findContours(framed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(framed, contours, -1, 1, cv2.FILLED)
    depth = cv2.GaussianBlur(cv2.distanceTransform(framed, cv2.DIST_L2, 5), (0, 0), 1.0)
    outside_seeds = np.ones_like(framed)
    for row, column in _deepest_points(np.asarray(depth, np.float32)):
        radius = int(_SEED * depth[row, column])
        cv2.circle(outside_seeds, (column, row), radius, 0, cv2.FILLED)
    _, nearest = cv2.distanceTransformWithLabels(outside_seeds, cv2.DIST_L2, 5)
    nearest = (nearest * framed)[1:-1, 1:-1]
    return [(nearest == index).astype(np.uint8) for index in range(1, int(nearest.max()) + 1)]


def _deepest_points(depth: FloatImage) -> list[tuple[int, int]]:
    """Return (row, column) of each bulge that a neck parts from all deeper ones."""
    reach = int(2 * _APART_UM / WORKING_UM_PER_PX) | 1
    peaks = depth == cv2.dilate(depth, np.ones((reach, reach), np.uint8))
    peaks &= depth * WORKING_UM_PER_PX > _CUT_RADIUS_UM
    kept: list[tuple[int, int]] = []
    for row, column in sorted(np.argwhere(peaks).tolist(), key=lambda at: -depth[at[0], at[1]]):
        limit = _NECK * depth[row, column]
        if all(_shallowest_between(depth, (row, column), other) < limit for other in kept):
            kept.append((row, column))
    return kept


def _shallowest_between(depth: FloatImage, one: tuple[int, int], other: tuple[int, int]) -> float:
    steps = max(abs(one[0] - other[0]), abs(one[1] - other[1])) + 1
    rows = np.linspace(one[0], other[0], steps).round().astype(int)
    columns = np.linspace(one[1], other[1], steps).round().astype(int)
    return float(depth[rows, columns].min())
