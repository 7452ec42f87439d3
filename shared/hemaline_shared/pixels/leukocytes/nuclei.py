"""Cut the purple map into nuclei: thresholds, and splits of touching nuclei."""

import cv2
import numpy as np

from hemaline_shared.pixels.leukocytes.lobes import join_neighbours
from hemaline_shared.pixels.leukocytes.pieces import COMPACT, UM2_PER_PX, WORKING_UM_PER_PX, Piece
from hemaline_shared.pixels.stain import FloatImage, Mask

_FAINTEST = 0.2
"""Purple, natural-log units: the palest labelled nuclei (chula-wbc5) have 0.33 on average."""

_OVER_ORDINARY = 2.0
"""A nucleus over the median of all that is stained."""

_CERTAIN = 0.9
"""Purple that no red cell reaches: where nothing but nuclei is stained, the median is one."""

_OF_ITS_DARKEST = 0.5
"""A nucleus ends where purple falls to half of its own dark part: its edge, whatever the stain."""

_THINNEST_PX = 5
"""Opening by 1.5 µm removes the defocus rings of red cells and keeps the thinnest lobes."""

_SMALLEST_LOBE_UM2 = 2.5
_TOUCHING_UM2 = 50.0
_APART_UM = 3.0


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
    usual = float(np.median(ordinary)) if ordinary.size else 0.0
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
    hull = max(cv2.contourArea(cv2.convexHull(outline)), 1.0)
    return Piece(outline, area * UM2_PER_PX, min(1.0, area / hull))


def _split(mask: Mask, x: int, y: int) -> list[Piece]:
    """Cut touching nuclei apart by a watershed, if every part is a plausible nucleus."""
    one = _piece(mask, x, y)
    if one.area_um2 < _TOUCHING_UM2 or one.solidity > COMPACT:
        return [one]
    parts = [_piece(part, x, y) for part in _watershed(mask)]
    if len(parts) < 2 or min(part.area_um2 for part in parts) < 20:
        return [one]
    if min(part.solidity for part in parts) < 0.85:
        return [one]
    return parts


def _watershed(mask: Mask) -> list[Mask]:
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    contours, _ = cv2.findContours(framed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(framed, contours, -1, 1, cv2.FILLED)
    depth = cv2.GaussianBlur(cv2.distanceTransform(framed, cv2.DIST_L2, 5), (0, 0), 1.0)
    reach = int(2 * _APART_UM / WORKING_UM_PER_PX) | 1
    peaks = depth == cv2.dilate(depth, np.ones((reach, reach), np.uint8))
    peaks &= depth * WORKING_UM_PER_PX > 2.6
    count, markers = cv2.connectedComponents(peaks.astype(np.uint8))
    markers = markers.astype(np.int32)
    markers[framed == 0] = count
    relief = np.clip(255 - 8 * depth, 0, 255).astype(np.uint8)
    cv2.watershed(cv2.cvtColor(relief, cv2.COLOR_GRAY2BGR), markers)
    parts = ((markers[1:-1, 1:-1] == index).astype(np.uint8) for index in range(1, count))
    return [part for part in parts if np.count_nonzero(part) * UM2_PER_PX > 4]
