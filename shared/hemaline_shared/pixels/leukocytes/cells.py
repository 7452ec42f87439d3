"""From a nucleus to the box of its whole cell."""

import cv2
import numpy as np

from hemaline_shared.pixels.leukocytes.nuclei import WORKING_UM_PER_PX, Piece
from hemaline_shared.pixels.types import Box

_RIM = 0.22
"""Cytoplasm on each side, over the nucleus's width."""

_LEAST_RIM_UM = 1.0
_LEAST_CELL_UM = 8.0


def enclosing_box(
    nucleus: list[Piece], working_shape: tuple[int, ...], image_shape: tuple[int, ...]
) -> Box:
    """Return the box of the cell round a nucleus, in pixels of the image, cut at its border.

    Args:
        nucleus: The pieces of one nucleus, in working pixels.
        working_shape: (height, width, ...) of the image at the working scale.
        image_shape: (height, width, ...) of the image as captured.
    """
    x, y, width, height = cv2.boundingRect(np.vstack([piece.outline for piece in nucleus]))
    left, right = _grow(x, width, working_shape[1], image_shape[1])
    top, bottom = _grow(y, height, working_shape[0], image_shape[0])
    return Box(left, top, right, bottom)


def _grow(start: int, length: int, working_size: int, image_size: int) -> tuple[int, int]:
    least = max(_LEAST_RIM_UM, (_LEAST_CELL_UM - length * WORKING_UM_PER_PX) / 2)
    rim = max(_RIM * length, least / WORKING_UM_PER_PX)
    zoom = image_size / working_size
    low = max(0, round((start - rim) * zoom))
    return low, min(image_size, max(low + 1, round((start + length + rim) * zoom)))
