"""Texture of chromatin and cytoplasm: co-occurrence, local binary patterns, spots."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import graycomatrix, local_binary_pattern

from hemaline_train.classical.masks import Flags

_LEVELS = 16
_DISTANCES = (1, 3)
_ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_LBP_POINTS = 8
_SPOT_SIZES_PX = (1.0, 2.0)


def texture_features(grey: NDArray[np.uint8], mask: Flags) -> NDArray[np.float64]:
    """Return co-occurrence, binary-pattern and spot features within a mask."""
    return np.concatenate(
        [
            cooccurrence_features(grey, mask),
            pattern_features(grey, mask),
            spot_features(grey, mask),
        ]
    )


def cooccurrence_features(grey: NDArray[np.uint8], mask: Flags) -> NDArray[np.float64]:
    """Return contrast, dissimilarity, homogeneity, energy, correlation and entropy (Haralick 1973).

    For two distances, each the mean over four directions; pairs that leave the mask do not count.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros(6 * len(_DISTANCES))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # Level 0 is outside the mask; its row and column are dropped.
    levels = np.where(mask[window], 1 + grey[window].astype(np.intp) * _LEVELS // 256, 0)
    counts = graycomatrix(
        levels.astype(np.uint8), _DISTANCES, _ANGLES, levels=_LEVELS + 1, symmetric=True
    )[1:, 1:].sum(axis=3)
    shares = counts / np.maximum(counts.sum(axis=(0, 1)), 1)
    return np.concatenate([_haralick(shares[..., place]) for place in range(len(_DISTANCES))])


def _haralick(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    one, other = np.mgrid[0:_LEVELS, 0:_LEVELS]
    apart = np.abs(one - other)
    mean = (shares * one).sum()
    variance = (shares * (one - mean) ** 2).sum()
    together = (shares * (one - mean) * (other - mean)).sum()
    return np.array(
        [
            (shares * apart**2).sum(),
            (shares * apart).sum(),
            (shares / (1 + apart**2)).sum(),
            np.sqrt((shares**2).sum()),
            together / variance if variance > 1e-9 else 0.0,
            -(shares * np.log(shares + 1e-12)).sum(),
        ]
    )


def pattern_features(grey: NDArray[np.uint8], mask: Flags) -> NDArray[np.float64]:
    """Return the shares of uniform local binary patterns (Ojala 2002) at radius 1 and 2."""
    parts = []
    for radius in (1, 2):
        codes = local_binary_pattern(grey, _LBP_POINTS, radius, method="uniform")[mask]
        counts = np.bincount(codes.astype(np.intp), minlength=_LBP_POINTS + 2)
        parts.append(counts / max(1, counts.sum()))
    return np.concatenate(parts)


def spot_features(grey: NDArray[np.uint8], mask: Flags) -> NDArray[np.float64]:
    """Return how strong bright spots (nucleoli, vacuoles) and dark ones (granules) are.

    For two sizes: spread, skewness and both tails of the difference of Gaussians.
    """
    if mask.sum() < 5:
        return np.zeros(4 * len(_SPOT_SIZES_PX))
    parts = []
    smooth = grey.astype(np.float32)
    for size in _SPOT_SIZES_PX:
        near = cv2.GaussianBlur(smooth, (0, 0), size)
        far = cv2.GaussianBlur(smooth, (0, 0), 2 * size)
        values = (near - far)[mask].astype(np.float64)
        spread = float(values.std())
        skew = float(((values - values.mean()) ** 3).mean()) / max(spread, 1e-3) ** 3
        parts += [spread, skew, *np.percentile(values, [2, 98])]
    return np.array(parts)
