"""Segmentation by k-means over the colours of a crop (system G)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.stain import optical_density, purple
from hemaline_shared.pixels.types import RgbImage
from hemaline_train.classical.masks import CellMasks, Flags, cell_round, middle_nucleus

_CLUSTERS = 4
"""Nucleus, cytoplasm, red cells, glass."""

_ROUNDS = 12
_NUCLEAR = 0.5
_MATTER = 0.16
_REACH_UM = 3.5


def segment_by_kmeans(crop: RgbImage) -> CellMasks:
    """Return the masks of the cell in the middle of a crop at the working scale.

    Colours are CIE L*a*b*; the clusters start from shades of green, so that the same crop always
    gives the same masks.
    """
    smooth = cv2.GaussianBlur(crop, (0, 0), 1.0)
    colours = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    start = _by_shade(np.asarray(smooth[..., 1], np.uint8))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, _ROUNDS, 0.5)
    _, labels, _ = cv2.kmeans(colours, _CLUSTERS, start, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    places = np.asarray(labels, np.intp).reshape(crop.shape[:2])
    density = optical_density(np.asarray(smooth, np.uint8))
    nuclear, matter = clusters_of_cells(
        places, np.asarray(purple(density), np.float64), np.asarray(density.sum(axis=2), np.float64)
    )
    nucleus = middle_nucleus(nuclear)
    return CellMasks(nucleus, cell_round(nucleus, matter, _REACH_UM))


def clusters_of_cells(
    places: NDArray[np.intp], tint: NDArray[np.float64], density: NDArray[np.float64]
) -> tuple[Flags, Flags]:
    """Say which clusters of colours are nuclei, and which are cells of any kind.

    Args:
        places: The cluster of each pixel, shape (height, width).
        tint: How purple each pixel is.
        density: Optical density, summed over the channels.
    """
    clusters = np.unique(places)
    tints = np.array([tint[places == one].mean() for one in clusters])
    densities = np.array([density[places == one].mean() for one in clusters])
    nuclear = tints >= max(0.1, _NUCLEAR * tints.max())
    matter = (densities - densities.min() > _MATTER * np.ptp(densities)) | nuclear
    return np.isin(places, clusters[nuclear]), np.isin(places, clusters[matter])


def _by_shade(green: NDArray[np.uint8]) -> NDArray[np.int32]:
    low, high = np.percentile(green, [1, 99])
    steps = np.linspace(low, max(high, low + 1), _CLUSTERS + 1)[1:-1]
    return np.searchsorted(steps, green.ravel()).astype(np.int32).reshape(-1, 1)
