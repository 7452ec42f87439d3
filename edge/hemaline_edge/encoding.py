"""A field's images as they are stored, read back before anybody relies on them."""

import logging

import cv2
import numpy as np

from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.packing import FieldImages, pack
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.pixels.types import Field, RgbImage

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_MOST_DIFFERENT = 12.0
"""Mean difference in grey levels between a field and its JPEG of quality 95: noise has under 5."""


def encode_and_prove(field: Field) -> bytes:
    """Encode a field and its crops, decode them once, and return them packed.

    Nobody else decodes them before the edge has deleted its own.

    Raises:
        TransientError: `encoding-failed`; memory or processor are at fault, not the picture.
        PermanentError: `processing-failed`; no encoder takes this picture.
    """
    for _ in range(_ATTEMPTS):
        images = _encoded(field)
        if _reads_back(images, field):
            return pack(images)
        logger.error("what was encoded did not decode to the same picture; it is encoded again")
    raise TransientError(
        "encoding-failed",
        "this device does not read back the pictures that it encodes: have its memory checked; "
        "the frame in hand is tried again",
    )


def _encoded(field: Field) -> FieldImages:
    try:
        crops = tuple(encode_crop(cell.pixels) for cell in field.cells)
        return FieldImages(encode_field(field.image), crops)
    except cv2.error as error:
        raise PermanentError("processing-failed", "encoding failed") from error


def _reads_back(images: FieldImages, field: Field) -> bool:
    try:
        shown = decode_image(images.field)
        crops = [decode_image(crop) for crop in images.crops]
    except PermanentError:
        return False
    same = (
        np.array_equal(crop, cell.pixels) for crop, cell in zip(crops, field.cells, strict=True)
    )
    return _alike(shown, field.image) and all(same)


def _alike(shown: RgbImage, image: RgbImage) -> bool:
    if shown.shape != image.shape:
        return False
    step = 4  # a fault of memory or a wrong size shows in a sixteenth of the pixels, too
    difference = shown[::step, ::step].astype(np.int16) - image[::step, ::step]
    return float(np.abs(difference).mean()) < _MOST_DIFFERENT
