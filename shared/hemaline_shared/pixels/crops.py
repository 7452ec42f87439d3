"""Cut one white cell out of a field, at the scale that every model is trained on."""

import cv2
import numpy as np

from hemaline_shared.pixels.types import CellCrop, Leukocyte, RgbImage, Scale

CANONICAL_UM_PER_PX = 0.1
CROP_PX = 224
"""At the canonical scale a crop shows 22.4 µm: a large monocyte with a rim of neighbours."""


def cut_crop(image: RgbImage, leukocyte: Leukocyte, index: int, scale: Scale) -> CellCrop:
    """Cut the cell's surroundings, centred on its box, resampled to the canonical scale.

    Where the crop leaves the field, it shows empty background: nobody knows what lies there, and
    replicating the border would smear a cut nucleus into a large one.

    Args:
        image: The field, shape (height, width, 3).
        leukocyte: The cell; its box lies in the field.
        index: The cell's place in its field, from 0.
        scale: The field's scale.
    """
    # Whole source pixels keep the cut exact and repeatable; the scale errs by under 1 %.
    side = max(1, round(CROP_PX * CANONICAL_UM_PER_PX / scale.um_per_px))
    window = _window(image, leukocyte.box.centre, side)
    # Area averaging never aliases on the way down; cubic keeps chromatin crisp on the way up.
    method = cv2.INTER_AREA if side > CROP_PX else cv2.INTER_CUBIC
    pixels = cv2.resize(window, (CROP_PX, CROP_PX), interpolation=method)
    return CellCrop(index, leukocyte.box, leukocyte.confidence, pixels.astype(np.uint8, copy=False))


def _window(image: RgbImage, centre: tuple[float, float], side: int) -> RgbImage:
    height, width = image.shape[:2]
    left, top = (int(np.floor(middle - side / 2 + 0.5)) for middle in centre)
    x0, x1 = max(left, 0), min(left + side, width)
    y0, y1 = max(top, 0), min(top + side, height)
    inside = image[y0:y1, x0:x1]
    if inside.shape[:2] == (side, side):
        return inside
    window = np.empty((side, side, 3), np.uint8)
    window[:] = _background(image)
    window[y0 - top : y1 - top, x0 - left : x1 - left] = inside
    return window


def _background(image: RgbImage) -> RgbImage:
    """Estimate the colour of empty glass, shape (3,): brighter than cells, darker than glare."""
    sample = image[::8, ::8].reshape(-1, 3)
    return np.percentile(sample, 80, axis=0).astype(np.uint8)
