"""Make a whole field as small as a crop, for questions that are asked of fields."""

import cv2
import numpy as np

from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.types import RgbImage


def squeeze_field(image: RgbImage) -> RgbImage:
    """Return a field of any size as shape (CROP_PX, CROP_PX, 3); its proportions are not kept."""
    # As with crops: area averaging never aliases on the way down, cubic stays crisp on the way up.
    method = cv2.INTER_AREA if min(image.shape[:2]) > CROP_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (CROP_PX, CROP_PX), interpolation=method), np.uint8)
