"""How sharp a field is, relative to what it shows and not to how many pixels it has.

A Laplacian's variance rejects the low-cost microscope and passes the noisy one. Here the field is
blurred once more, as Crete et al. propose (The Blur Effect, SPIE 2007): a sharp one loses much
detail by that, a blurred one little. Coarse detail tells how small the cells are, and so how much
fine detail there should be.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage

_FINE_PX = 640
_COARSE_PX = 160
_REBLUR_PX = 2.0
_WEIGHTS = (-14.57, 10.43, 3.519, -14.95)
_OFFSET = -53.77


@dataclass(frozen=True, slots=True)
class _Detail:
    """What one more blur does at one size of the image.

    Attributes:
        blur: Blur radius of the steepest edges, as a share of the longer side.
        lost: Gradient energy before over after.
        edges: The steepest gradient, as a share of the contrast, per pixel.
    """

    blur: float
    lost: float
    edges: float


def focus(image: RgbImage) -> float:
    """Return how sharp a field is: above 0 is sharp enough, below is blurred.

    The weights are a logistic regression on seven sets of real fields (sharp) and the same fields
    under a Gaussian blur of 6 pixels in 640 (blurred), and on the simulator's.

    Args:
        image: Shape (height, width, 3).
    """
    fine = _detail(image, _FINE_PX)
    coarse = _detail(image, _COARSE_PX)
    traits = np.log([fine.blur, fine.lost, fine.edges, coarse.lost])
    return float(np.dot(_WEIGHTS, traits)) + _OFFSET


def _detail(image: RgbImage, longer_px: int) -> _Detail:
    green, longer = _middle(_shrunk(image, longer_px)), min(longer_px, max(image.shape))
    once = cv2.GaussianBlur(green, (0, 0), 0.8)
    before = _gradient(once)
    after = _gradient(cv2.GaussianBlur(once, (0, 0), _REBLUR_PX))
    # A few thousand pixels tell a percentile as well as all of them, and ten times as fast.
    some = slice(None, None, max(1, longer_px // 160))
    low, high = np.percentile(green[some, some], (1, 99))
    steepest = max(float(np.percentile(before[some, some], 99)), 1e-3)
    dulled = max(float(np.percentile(after[some, some], 99)), 1e-3)
    energy = float(cv2.norm(before, cv2.NORM_L2SQR)), float(cv2.norm(after, cv2.NORM_L2SQR))
    # A Gaussian edge of width s becomes one of width sqrt(s² + r²) when blurred by r.
    widened = max((steepest / dulled) ** 2 - 1, 0.01)
    return _Detail(
        blur=_REBLUR_PX / float(np.sqrt(widened)) / longer,
        lost=max(energy[0] / max(energy[1], 1e-6), 1e-3),
        edges=max(steepest / max(float(high - low), 10.0), 1e-4),
    )


def _shrunk(image: RgbImage, longer_px: int) -> NDArray[np.float32]:
    """Return the green channel, where stain absorbs most, at most so many pixels long."""
    green = image[:, :, 1]
    shrink = max(green.shape) / longer_px
    if shrink > 1:
        size = (max(8, round(green.shape[1] / shrink)), max(8, round(green.shape[0] / shrink)))
        green = np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.uint8)
    return green.astype(np.float32)


def _middle(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return half the area: objectives are made sharp in the middle, and their rims are soft."""
    height, width = plane.shape
    top, left = (round(0.15 * side) for side in (height, width))
    return np.ascontiguousarray(plane[top : height - top, left : width - left])


def _gradient(plane: cv2.typing.MatLike) -> NDArray[np.float32]:
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(cv2.magnitude(across, down), np.float32)
