"""A cell's crop made small, for lists that show many."""

from enum import IntEnum

import cv2
import numpy as np

from hemaline_shared.errors import PermanentError

THUMBNAIL_RENDERING = "1"
"""Raise it when a thumbnail's bytes change: it is part of their ETag."""

_QUALITY = 82


class ThumbnailPx(IntEnum):
    """Sides of a thumbnail: for a screen of one pixel a point, and of two."""

    SMALL = 96
    LARGE = 192


def draw_thumbnail(crop: bytes, px: int) -> bytes:
    """Return a WebP of `px` by `px` pixels.

    Args:
        crop: The stored PNG.
        px: Its sides.

    Raises:
        PermanentError: `undecodable`.
    """
    bgr = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise PermanentError("undecodable", "the stored crop is no image that can be read")
    small = cv2.resize(bgr, (px, px), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".webp", small, (cv2.IMWRITE_WEBP_QUALITY, _QUALITY))
    return encoded.tobytes()
