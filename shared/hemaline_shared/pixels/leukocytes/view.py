"""What the learned finder's network sees of a field: absorbance and purple, at one scale."""

import cv2
import numpy as np

from hemaline_shared.pixels.leukocytes.pieces import WORKING_UM_PER_PX
from hemaline_shared.pixels.stain import FloatImage, optical_density, purple
from hemaline_shared.pixels.types import RgbImage, Scale

CHANNELS = 4
"""Absorbance of red, green and blue, and purple. No colour as captured: lamps and glass differ
from one laboratory to the next, and absorbance against the field's own glass does not know them."""

MARGIN_PX = 8
_MULTIPLE = 16
"""The network's deepest stride."""

_DARKEST = 4.0
"""Natural-log units; beyond lies what let no light pass."""


def view_of_field(image: RgbImage, scale: Scale) -> tuple[FloatImage, tuple[float, float]]:
    """Return a field as the network sees it.

    Args:
        image: The field, shape (height, width, 3).
        scale: How large its pixels are.

    Returns:
        The view, shape (CHANNELS, rows, columns), with a margin of bare glass of at least
        `MARGIN_PX` on every side; and how many pixels of the view, across and down, one pixel of
        the image makes.
    """
    zoom = scale.um_per_px / WORKING_UM_PER_PX
    height, width = image.shape[:2]
    size = (max(8, round(width * zoom)), max(8, round(height * zoom)))
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    working = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    seen = stain_view(optical_density(working))
    rows, columns = (_whole(length) for length in seen.shape[1:])
    view = np.zeros((CHANNELS, rows, columns), np.float32)
    view[:, MARGIN_PX : MARGIN_PX + size[1], MARGIN_PX : MARGIN_PX + size[0]] = seen
    return view, (size[0] / width, size[1] / height)


def stain_view(density: FloatImage) -> FloatImage:
    """Return absorbance and purple as the network's channels, shape (CHANNELS, height, width).

    Args:
        density: From `optical_density`, shape (height, width, 3).
    """
    seen = np.dstack([density, purple(density)])
    return np.ascontiguousarray(np.clip(seen, -1.0, _DARKEST).transpose(2, 0, 1))


def _whole(length: int) -> int:
    return -(-(length + 2 * MARGIN_PX) // _MULTIPLE) * _MULTIPLE
