"""From a nucleus to the box of its whole cell."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.leukocytes.pieces import UM2_PER_PX, WORKING_UM_PER_PX, Piece
from hemaline_shared.pixels.stain import Mask
from hemaline_shared.pixels.types import Box

Interval: TypeAlias = tuple[float, float]
"""Start and end along one axis, in working pixels."""

_SIZE = 3.2
_OWN_AXIS = 0.43
_OTHER_AXIS = 0.27
_SOLIDITY = 0.19
"""A cell's width in µm is size · width^own · height^other · exp(-solidity · area over hull) of
its nucleus, also in µm: least squares on the train boxes, each data set counted alike. The
powers below one say that small nuclei have the wider rim, and that a band or a row of lobes
lies in a round cell."""

_REACH = 1.35
"""How far, over the expected half width, the edge of the cell is looked for."""

_GLASS = 0.65
"""Share of a line across the cell that is bare glass from which the line lies outside it."""

_TRUST_IN_GLASS = 0.5
"""Weight of the edge seen against the edge expected: pale cytoplasm looks like glass and red
cells hide the edge, so neither is right alone (best of 0, 0.5 and 1 on the train boxes)."""


def enclosing_box(nucleus: list[Piece], stained: Mask, image_shape: tuple[int, ...]) -> Box:
    """Return the box of the cell round a nucleus, in pixels of the image, cut at its border.

    Args:
        nucleus: The pieces of one nucleus, in working pixels.
        stained: 1 where there is a cell of any kind, shape of the working image.
        image_shape: (height, width, ...) of the image as captured.
    """
    points = np.vstack([piece.outline for piece in nucleus])
    left, top, width, height = cv2.boundingRect(points)
    hull_um2 = max(cv2.contourArea(cv2.convexHull(points)), 1.0) * UM2_PER_PX
    solidity = min(1.0, sum(piece.area_um2 for piece in nucleus) / hull_um2)
    x = _expected((left, left + width), height, solidity)
    y = _expected((top, top + height), width, solidity)
    across = _middle(stained, y).mean(axis=0)
    down = _middle(stained.T, x).mean(axis=0)
    x_seen = _seen(across, (left, left + width), x)
    y_seen = _seen(down, (top, top + height), y)
    x0, x1 = _to_image(x, x_seen, image_shape[1] / stained.shape[1], image_shape[1])
    y0, y1 = _to_image(y, y_seen, image_shape[0] / stained.shape[0], image_shape[0])
    return Box(x0, y0, x1, y1)


def _expected(nucleus: tuple[int, int], other_length: int, solidity: float) -> Interval:
    """Return where the cell should begin and end, judged by its nucleus alone."""
    length = nucleus[1] - nucleus[0]
    own, other = length * WORKING_UM_PER_PX, other_length * WORKING_UM_PER_PX
    size_um = _SIZE * own**_OWN_AXIS * other**_OTHER_AXIS * np.exp(-_SOLIDITY * solidity)
    half = max(size_um / WORKING_UM_PER_PX, length + 2) / 2
    middle = (nucleus[0] + nucleus[1]) / 2
    return middle - half, middle + half


def _middle(stained: Mask, expected: Interval) -> Mask:
    """Return the rows through the middle half of the cell; the corners are not the cell's."""
    quarter = (expected[1] - expected[0]) / 4
    first = min(max(0, int(expected[0] + quarter)), len(stained) - 1)
    return stained[first : max(first + 1, int(expected[1] - quarter))]


def _seen(profile: NDArray[np.float64], nucleus: tuple[int, int], expected: Interval) -> Interval:
    """Walk outward from the nucleus to the first bare line on either side.

    Where only one side shows glass, the other is as far off as the cell should be large; where
    neither does, the expectation stands.
    """
    extra = (_REACH - 1) * (expected[1] - expected[0]) / 2
    first = max(0, round(expected[0] - extra))
    last = min(len(profile), round(expected[1] + extra))
    bare = profile < 1 - _GLASS
    before = np.flatnonzero(bare[first : nucleus[0]])
    after = np.flatnonzero(bare[nucleus[1] : last])
    low = float(first + before[-1] + 1) if before.size else None
    high = float(nucleus[1] + after[0]) if after.size else None
    size = expected[1] - expected[0]
    if low is None:
        low = expected[0] if high is None else min(high - size, nucleus[0])
    if high is None:
        high = expected[1] if not before.size else max(low + size, nucleus[1])
    return low, high


def _to_image(expected: Interval, seen: Interval, zoom: float, image_size: int) -> tuple[int, int]:
    """Blend both answers, scale them to pixels of the image, cut them at its border."""
    low, high = (
        zoom * (_TRUST_IN_GLASS * edge + (1 - _TRUST_IN_GLASS) * guess)
        for edge, guess in zip(seen, expected, strict=True)
    )
    start = min(max(0, round(low)), image_size - 1)
    return start, min(image_size, max(start + 1, round(high)))
