"""Cut the purple map into nuclei: thresholds, splits of touching nuclei, joins of lobes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.stain import FloatImage, Mask

WORKING_UM_PER_PX = 0.3
"""The scale of every map here: a nucleus is 25 pixels across, a lobe 6; the finest that stays
inside the time allowed for a field of 1440 x 900."""

_UM2_PER_PX = WORKING_UM_PER_PX**2

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
_WHOLE_UM2 = 40.0
"""A compact nucleus of this area (7 µm across) is whole: it is nobody's lobe."""

_COMPACT = 0.88
"""Area over convex hull: single round nuclei lie above, lobed or touching ones below."""

_TOUCHING_UM2 = 50.0
_APART_UM = 3.0
_LARGEST_GAP_UM = 3.5
_WIDEST_NUCLEUS_UM = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One connected piece of nucleus: an outline of shape (n, 1, 2) in working pixels."""

    outline: NDArray[np.int32]
    area_um2: float
    solidity: float

    @property
    def whole(self) -> bool:
        """Whether this is a nucleus by itself and not a lobe of one."""
        return self.area_um2 > _WHOLE_UM2 and self.solidity > _COMPACT


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
        if area * _UM2_PER_PX < _SMALLEST_LOBE_UM2:
            continue
        mask = (labels[y : y + height, x : x + width] == index).astype(np.uint8)
        pieces += _split(mask, x, y)
    return _join(pieces)


def _core(tint: FloatImage, stained: Mask) -> Mask:
    ordinary = tint[::2, ::2][stained[::2, ::2] > 0]
    usual = float(np.median(ordinary)) if ordinary.size else 0.0
    threshold = float(np.clip(_OVER_ORDINARY * usual, _FAINTEST, _CERTAIN))
    purple = (tint > threshold).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(purple, connectivity=8)
    core = np.zeros_like(purple)
    for index in range(1, count):
        x, y, width, height, area = boxes[index]
        if area * _UM2_PER_PX < _SMALLEST_LOBE_UM2:
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
    return Piece(outline, area * _UM2_PER_PX, min(1.0, area / hull))


def _split(mask: Mask, x: int, y: int) -> list[Piece]:
    """Cut touching nuclei apart by a watershed, if every part is a plausible nucleus."""
    one = _piece(mask, x, y)
    if one.area_um2 < _TOUCHING_UM2 or one.solidity > _COMPACT:
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
    return [part for part in parts if np.count_nonzero(part) * _UM2_PER_PX > 4]


def _join(pieces: list[Piece]) -> list[list[Piece]]:
    """Join lobes, nearest first; two whole nuclei are neighbours, never lobes."""
    groups = [[piece] for piece in pieces]
    for _, first, second in sorted(_near_pairs(pieces)):
        a = next(group for group in groups if any(p is pieces[first] for p in group))
        b = next(group for group in groups if any(p is pieces[second] for p in group))
        if a is b or (any(p.whole for p in a) and any(p.whole for p in b)):
            continue
        _, radius = cv2.minEnclosingCircle(np.vstack([p.outline for p in a + b]))
        if 2 * radius * WORKING_UM_PER_PX <= _WIDEST_NUCLEUS_UM:
            a += b
            groups = [group for group in groups if group is not b]
    return groups


def _near_pairs(pieces: list[Piece]) -> list[tuple[float, int, int]]:
    """Return (gap in µm, first, second) of pieces near enough to be lobes of one nucleus."""
    outlines = [piece.outline[:, 0].astype(np.float32) for piece in pieces]
    middles = [outline.mean(axis=0) for outline in outlines]
    reach = _WIDEST_NUCLEUS_UM / WORKING_UM_PER_PX
    pairs = []
    for first in range(len(pieces)):
        for second in range(first + 1, len(pieces)):
            if np.abs(middles[first] - middles[second]).max() > reach:
                continue
            apart = outlines[first][:, None] - outlines[second][None]
            gap = float(np.sqrt((apart**2).sum(axis=2).min())) * WORKING_UM_PER_PX
            if gap < _LARGEST_GAP_UM:
                pairs.append((gap, first, second))
    return pairs
