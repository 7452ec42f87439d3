"""How much light the stain takes away: optical density over an uneven background, and purple."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage

FloatImage: TypeAlias = NDArray[np.float32]
"""Shape (height, width) or (height, width, 3), no unit."""

Mask: TypeAlias = NDArray[np.uint8]
"""Shape (height, width), 0 or 1."""

STAINED = 0.15
"""Optical density, summed over the channels, from which a pixel belongs to a cell and not to
glass: the palest red cells of five optics lie at 0.35, JPEG noise on glass under 0.1."""

_LOG = np.log(np.arange(1, 257, dtype=np.float32))
_THUMBNAIL_PX = 64
"""Vignetting is smooth: a thumbnail this wide shows it, and averages the grain away."""

_ENVELOPE = 0.97
"""Weight of a thumbnail pixel brighter than the fitted background against one darker (1 - this):
the fit follows the glass, not the cells on it."""

_GLASS_SPREAD = 0.06
"""Natural-log units round the envelope within which a thumbnail pixel counts as glass."""

_HAEMOGLOBIN_RANGE = (1.0, 2.5)
"""(red + green) / blue absorbance of red cells over five optics: 1.1 (pink, BCCD) to 4 (Raabin).
Above 2.5 the subtraction would amplify JPEG's coarse blue channel more than it helps."""


def optical_density(image: RgbImage) -> FloatImage:
    """Return each channel's absorbance against the field's own background.

    The background is a second-order surface through the bright pixels, so vignetting and a
    coloured lamp drop out.

    Args:
        image: Shape (height, width, 3).

    Returns:
        Natural-log units, shape (height, width, 3); 0 is glass, cells are positive.
    """
    height, width = image.shape[:2]
    shrink = max(1.0, max(height, width) / _THUMBNAIL_PX)
    size = (max(2, round(width / shrink)), max(2, round(height / shrink)))
    thumbnail = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    background = _background(np.asarray(cv2.LUT(thumbnail, _LOG), np.float32))
    density = cv2.resize(background, (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.subtract(density, cv2.LUT(image, _LOG), dst=density)
    return np.asarray(density, np.float32)


def purple(density: FloatImage) -> FloatImage:
    """Return how much more a pixel absorbs like a stained nucleus than like a red cell.

    Azure dyes take red and green and let blue pass; haemoglobin and eosin take blue as well. So
    red + green - k · blue, with the k that cancels this field's own red cells, is near 0 on glass
    and on red cells (overlapping ones too: absorbances add) and high on nuclei in every stain.

    Args:
        density: From `optical_density`, shape (height, width, 3).

    Returns:
        Natural-log units, shape (height, width).
    """
    weights = np.array([[1.0, 1.0, -_haemoglobin_ratio(density)]], np.float32)
    return np.asarray(cv2.transform(density, weights), np.float32)


def _haemoglobin_ratio(density: FloatImage) -> float:
    sample = density[::2, ::2].reshape(-1, 3)
    total = sample.sum(axis=1)
    sample, total = sample[total > STAINED], total[total > STAINED]
    if len(total) < 20:
        return _HAEMOGLOBIN_RANGE[0]
    red_green, blue = sample[:, 0] + sample[:, 1], sample[:, 2]
    # The less purple half of what is stained: red cells, or cytoplasm where there are none.
    hue = (red_green - blue) / total
    plain = hue <= np.median(hue)
    ratio = red_green[plain].sum() / max(float(blue[plain].sum()), 1e-3)
    return float(np.clip(ratio, *_HAEMOGLOBIN_RANGE))


def _background(logs: FloatImage) -> FloatImage:
    """Fit the glass: asymmetric least squares on brightness, then each channel on the glass."""
    height, width = logs.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    x, y = (x.ravel() + 0.5) / width * 2 - 1, (y.ravel() + 0.5) / height * 2 - 1
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    channels = logs.reshape(-1, 3).astype(np.float64)
    brightness = channels.mean(axis=1)
    weights = (brightness >= np.percentile(brightness, 60)) + 1e-3
    residual = brightness
    for _ in range(12):
        residual = brightness - terms @ _weighted_fit(terms, brightness, weights)
        weights = np.where(residual > 0, _ENVELOPE, 1 - _ENVELOPE) / (1 + (residual / 0.1) ** 2)
    weights = np.exp(-np.minimum((residual / _GLASS_SPREAD) ** 2, 50)) + 1e-6
    surface = terms @ _weighted_fit(terms, channels, weights)
    return surface.astype(np.float32).reshape(height, width, 3)


def _weighted_fit(
    terms: NDArray[np.float64], values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    weighted = terms * weights[:, None]
    # A whisper of ridge on all but the constant: a field without glass must not grow a bowl.
    ridge = np.diag([0.0, 1, 1, 1, 1, 1]) * 1e-3 * len(terms)
    fit = np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ values)
    return np.asarray(fit, np.float64)
