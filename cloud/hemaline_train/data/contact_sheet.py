"""Contact sheets: many crops on one picture, each with its number and its label."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage

COLUMNS, ROWS = 6, 5
_SIDE_PX, _TEXT_PX, _GAP_PX = 208, 22, 4


def contact_sheets(
    crops: NDArray[np.uint8], captions: Sequence[str]
) -> Iterator[tuple[int, RgbImage]]:
    """Yield the place of each sheet's first crop, and the sheet.

    Args:
        crops: Shape (n, side, side, 3).
        captions: A line for each crop, printed above it. What a network says does not belong here:
            whoever looks must not see it first.
    """
    for first in range(0, len(crops), COLUMNS * ROWS):
        last = min(first + COLUMNS * ROWS, len(crops))
        yield first, _sheet(crops[first:last], captions[first:last])


def _sheet(crops: NDArray[np.uint8], captions: Sequence[str]) -> RgbImage:
    rows = -(-len(crops) // COLUMNS)
    height, width = _SIDE_PX + _TEXT_PX + _GAP_PX, _SIDE_PX + _GAP_PX
    sheet = np.full((rows * height, COLUMNS * width, 3), 255, np.uint8)
    for place, (crop, caption) in enumerate(zip(crops, captions, strict=True)):
        top, left = place // COLUMNS * height, place % COLUMNS * width
        small = cv2.resize(crop, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        sheet[top + _TEXT_PX : top + _TEXT_PX + _SIDE_PX, left : left + _SIDE_PX] = small
        below = (left + 2, top + _TEXT_PX - 6)
        cv2.putText(sheet, caption, below, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet
