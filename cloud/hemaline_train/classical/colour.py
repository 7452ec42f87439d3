"""Colour of nucleus, cytoplasm and what lies round the cell."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage
from hemaline_train.classical.masks import CellMasks, Flags

_PERCENTILES = (10, 50, 90)
_LEAST_PX = 5


def colour_features(
    crop: RgbImage, density: NDArray[np.float32], masks: CellMasks
) -> NDArray[np.float64]:
    """Return colours of nucleus and cytoplasm as optical densities and as hue and saturation.

    Args:
        crop: Shape (height, width, 3).
        density: Its optical density, same shape: the lamp and the camera's white drop out.
        masks: Of the cell in the middle.
    """
    shades = cv2.cvtColor(crop, cv2.COLOR_RGB2HSV).astype(np.float64)
    # Hue is an angle: its sine and cosine have no jump at red.
    turn = shades[..., 0] * (np.pi / 90)
    hues = np.dstack([np.sin(turn), np.cos(turn), shades[..., 1] / 255])
    nucleus = _statistics(density, hues, masks.nucleus)
    cytoplasm = _statistics(density, hues, masks.cytoplasm)
    contrast = nucleus[:3] - cytoplasm[:3]
    return np.concatenate([nucleus, cytoplasm, contrast])


def _statistics(
    density: NDArray[np.float32], hues: NDArray[np.float64], mask: Flags
) -> NDArray[np.float64]:
    if mask.sum() < _LEAST_PX:
        return np.zeros(3 * (2 + len(_PERCENTILES)) + 3)
    values, tones = density[mask].astype(np.float64), hues[mask]
    spread = np.percentile(values, _PERCENTILES, axis=0).ravel()
    return np.concatenate([values.mean(axis=0), values.std(axis=0), spread, tones.mean(axis=0)])
