"""Segmentation by thresholds on purple and on optical density (systems H, I and J)."""

import cv2
import numpy as np

from hemaline_shared.pixels.stain import STAINED, FloatImage, optical_density, purple
from hemaline_shared.pixels.types import RgbImage
from hemaline_train.classical.masks import CellMasks, cell_round, middle_nucleus

_REACH_UM = 3.5
_NUCLEAR_SHARE = 0.9
"""Of Otsu's threshold: nuclei are smaller than the rest, which draws the threshold up."""

_CYTOPLASM_SHARE = 0.4
"""Of the darkness that Otsu finds between glass and cells; pale cytoplasm is hardly darker."""


def segment_by_otsu(crop: RgbImage) -> CellMasks:
    """Return the masks of the cell in the middle of a crop at the working scale."""
    smooth = np.asarray(cv2.GaussianBlur(crop, (0, 0), 1.0), np.uint8)
    density = optical_density(smooth)
    tint = purple(density)
    total = np.asarray(density.sum(axis=2), np.float32)
    nuclear = tint > max(0.1, _NUCLEAR_SHARE * _otsu(tint))
    matter = total > max(STAINED, _CYTOPLASM_SHARE * _otsu(total))
    nucleus = middle_nucleus(np.asarray(nuclear, bool))
    return CellMasks(nucleus, cell_round(nucleus, np.asarray(matter, bool), _REACH_UM))


def _otsu(values: FloatImage) -> float:
    top = max(float(np.percentile(values, 99.5)), 1e-3)
    shades = (np.clip(values / top, 0, 1) * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(shades, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(threshold) / 255 * top
