"""Segmentation by vector quantisation, adaptive Canny edges and a watershed (system F)."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import canny
from skimage.segmentation import watershed

from hemaline_shared.pixels.stain import optical_density, purple
from hemaline_shared.pixels.types import RgbImage
from hemaline_train.classical.kmeans import clusters_of_cells
from hemaline_train.classical.lbg import lbg_codebook, nearest_codeword
from hemaline_train.classical.masks import (
    WORKING_UM_PER_PX,
    CellMasks,
    Flags,
    cell_round,
    disc,
    filled,
    hull,
    middle_nucleus,
)

_CODEWORDS = 8
_LEARN_EVERY = 5
"""One pixel in five makes the codebook: colours of neighbours are alike."""

_REACH_UM = 3.5
_EDGE_WEIGHT = 0.5
_WEAK_OVER_STRONG = 0.5
"""The lower threshold of the hysteresis, over the upper, which Otsu finds for each crop."""


def segment_by_watershed(crop: RgbImage) -> CellMasks:
    """Return the masks of the cell in the middle of a crop at the working scale."""
    smooth = np.asarray(cv2.GaussianBlur(crop, (0, 0), 1.0), np.uint8)
    vectors = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)
    book = lbg_codebook(vectors[::_LEARN_EVERY], _CODEWORDS)
    places = nearest_codeword(vectors, book).reshape(crop.shape[:2])
    density = optical_density(smooth)
    total = np.asarray(density.sum(axis=2), np.float64)
    nuclear, matter = clusters_of_cells(places, np.asarray(purple(density), np.float64), total)
    nucleus = middle_nucleus(nuclear)
    if not nucleus.any():
        return CellMasks(nucleus, nucleus.copy())
    relief = _relief(total)
    inside = nucleus | _shrunk(cell_round(nucleus, matter, _REACH_UM))
    core = hull(nucleus)
    away = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 3) * WORKING_UM_PER_PX
    outside = (~matter | (away > _REACH_UM)) & ~inside
    markers = inside.astype(np.int32) + 2 * outside.astype(np.int32)
    cell = np.equal(watershed(relief, markers), 1)
    opened = cv2.morphologyEx(cell.astype(np.uint8), cv2.MORPH_OPEN, disc(1.0)) > 0
    return CellMasks(nucleus, filled(opened | nucleus))


def adaptive_edges(grey: NDArray[np.float64]) -> Flags:
    """Return Canny's edges with thresholds from the crop itself (Canny 1986, Otsu 1979).

    Otsu's threshold of the gradient is the upper one of the hysteresis, half of it the lower.
    """
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1))
    steepest = max(float(slope.max()), 1e-9)
    shades = np.asarray(255 * slope / steepest, np.uint8)
    strong, _ = cv2.threshold(shades, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # OpenCV's Sobel sums to 8; scikit-image's averages: the thresholds are in its units.
    upper = strong / 255 * steepest / 8
    edges = canny(
        grey, sigma=1.0, low_threshold=_WEAK_OVER_STRONG * upper, high_threshold=max(upper, 1e-6)
    )
    return np.asarray(edges, bool)


def _relief(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gradient, with ridges where Canny sees an edge."""
    slope = np.hypot(cv2.Sobel(total, cv2.CV_64F, 1, 0), cv2.Sobel(total, cv2.CV_64F, 0, 1))
    slope /= max(float(slope.max()), 1e-9)
    return np.asarray(slope + _EDGE_WEIGHT * adaptive_edges(total), np.float64)


def _shrunk(mask: Flags) -> Flags:
    return np.asarray(cv2.erode(mask.astype(np.uint8), disc(1.4)) > 0, bool)
