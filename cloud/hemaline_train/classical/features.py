"""From crops and fields to rows of features: what a classical system knows of a picture."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog

from hemaline_shared.pixels.crops import CANONICAL_UM_PER_PX
from hemaline_shared.pixels.stain import optical_density, purple
from hemaline_shared.pixels.types import RgbImage
from hemaline_train.classical.colour import colour_features
from hemaline_train.classical.masks import CellMasks, Segmenter, to_working_scale
from hemaline_train.classical.shape import outline_features, shape_features
from hemaline_train.classical.texture import texture_features

Matrix: TypeAlias = NDArray[np.float64] | NDArray[np.float32]
"""Shape (n, features)."""

Describe: TypeAlias = Callable[[NDArray[np.uint8]], Matrix]
"""From pixels, shape (n, height, width, 3), to features."""

_MOST_NUCLEI = 20
_SMALLEST_NUCLEUS_PX = 60
_RING_PX = 3
_NUCLEUS_FEATURES = 14 + 39
"""Those of an outline and of colours: a field without nuclei has zeros in their place."""


def describe_cells(segmenter: Segmenter) -> Describe:
    """Return what describes canonical crops by the shape, texture and colour of their cell."""
    return partial(_rows, partial(cell_row, segmenter))


def cell_row(segmenter: Segmenter, crop: RgbImage) -> NDArray[np.float64]:
    """Return the features of the cell in the middle of a canonical crop."""
    small = to_working_scale(crop, CANONICAL_UM_PER_PX)
    masks = segmenter(small)
    density = optical_density(small)
    grey = _grey(small)
    return np.concatenate(
        [
            shape_features(masks),
            texture_features(grey, masks.nucleus),
            texture_features(grey, masks.cytoplasm),
            colour_features(small, density, masks),
        ]
    )


def describe_whole(pixels: NDArray[np.uint8]) -> Matrix:
    """Describe pictures without any segmentation: gradients, patterns, colour histograms."""
    return _rows(_whole_row, pixels)


def _whole_row(picture: RgbImage) -> NDArray[np.float64]:
    small = np.asarray(cv2.resize(picture, (96, 96), interpolation=cv2.INTER_AREA), np.uint8)
    grey = _grey(small)
    gradients = hog(grey, orientations=8, pixels_per_cell=(24, 24), cells_per_block=(1, 1))
    colours = [np.histogram(small[..., c], bins=12, range=(0, 256))[0] for c in range(3)]
    everywhere = np.ones(grey.shape, bool)
    return np.concatenate(
        [gradients, np.concatenate(colours) / grey.size, texture_features(grey, everywhere)]
    )


def describe_fields(pixels: NDArray[np.uint8]) -> Matrix:
    """Describe fields by their nuclei: mean and spread of their features, and their number."""
    return _rows(_field_row, pixels)


def _field_row(field: RgbImage) -> NDArray[np.float64]:
    density = optical_density(field)
    tint = np.asarray(cv2.GaussianBlur(purple(density), (0, 0), 1.0), np.float32)
    purple_parts = _purple_parts(tint)
    rows = [
        np.concatenate(
            [outline_features(one.nucleus), colour_features(field[window], density[window], one)]
        )
        for window, one in _nuclei(purple_parts)
    ] or [np.zeros(_NUCLEUS_FEATURES)]
    whole = np.asarray(purple_parts > 0, bool)
    return np.concatenate(
        [
            np.mean(rows, axis=0),
            np.std(rows, axis=0),
            texture_features(_grey(field), whole),
            [len(rows), whole.mean()],
        ]
    )


def _purple_parts(tint: NDArray[np.float32]) -> NDArray[np.uint8]:
    top = max(float(np.percentile(tint, 99.5)), 1e-3)
    shades = (np.clip(tint / top, 0, 1) * 255).astype(np.uint8)
    _, parts = cv2.threshold(shades, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(cv2.morphologyEx(parts, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)


def _nuclei(parts: NDArray[np.uint8]) -> list[tuple[tuple[slice, slice], CellMasks]]:
    """Return each large piece, the largest first: its window, its mask and a ring round it."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(parts, connectivity=4)
    order = sorted(range(1, count), key=lambda i: -boxes[i, cv2.CC_STAT_AREA])[:_MOST_NUCLEI]
    nuclei = []
    for index in order:
        left, top, width, height, area = boxes[index].tolist()
        if area < _SMALLEST_NUCLEUS_PX:
            continue
        rows = slice(max(0, top - _RING_PX), top + height + _RING_PX)
        window = (rows, slice(max(0, left - _RING_PX), left + width + _RING_PX))
        nucleus = np.asarray(labels[window] == index, bool)
        square = np.ones((2 * _RING_PX + 1,) * 2, np.uint8)
        wide = cv2.dilate(nucleus.astype(np.uint8), square) > 0
        nuclei.append((window, CellMasks(nucleus, nucleus | (wide & (parts[window] == 0)))))
    return nuclei


def _rows(row: Callable[[RgbImage], NDArray[np.float64]], pixels: NDArray[np.uint8]) -> Matrix:
    return np.stack([row(np.ascontiguousarray(picture)) for picture in pixels])


def _grey(picture: RgbImage) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
