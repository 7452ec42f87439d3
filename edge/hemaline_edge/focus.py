"""How far a field is out of focus, in percent of a red cell's diameter.

A cell's outline is found where a smoothed copy is steepest; there, the gradient of the field is
compared with the gradient of the smoothed copy, both along the outline's normal and with their
sign. A Gaussian edge of width s becomes one of width √(s² + c²) when smoothed by c, so the ratio
of the two sums says how wide the edges are. Compression adds edges of its own (block borders,
ringing), but those point every way relative to the outlines, so they cancel in a signed sum. The
blur measures that compare magnitudes take them for detail (Crete et al., The Blur Effect, 2007).
"""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage

MOST_BLUR = 50.0
"""What a field without a single outline has."""

_RED_CELL_PX = 32
"""Across a red cell in the copy that is measured: 5 % of it is 1.6 pixels."""
_WIDE_RED_CELL_PX = 16
_MOST_RED_CELLS = 10
"""A square so many red cells wide, in the middle, tells as much as a whole field."""
_SMALLEST_RED_CELLS = 0.5
"""A strip narrower than this shows no outline."""
_FEWEST_RED_CELLS = 2.5
"""A picture narrower than this shows too few for the wide look."""

_CLOSE_LOOK = (0.0, 0.04)
_WIDE_LOOK = (0.06, 0.12)
"""Smoothing of the two copies that are compared, in diameters of a red cell. The close look tells
5 % of blur from none. In a field that is blurred far more, it would see only the camera's noise;
the wide look does not see noise."""

_WIDE_FROM = 9.5
"""The wide look counts from here on: sharp fields stay below, as cells are no straight edges."""

_STRONGEST = 50
"""Percentile of steepness from which on an outline is compared."""
_OVER_NOISE = 5.0
_FEWEST_POINTS = 30

_ORDINARY_BLUR = 4.0
"""What sharp fields of seven laboratories have at most by optics: the median of the softest."""
_PIXEL_BLUR = 80.0
"""And what pixels add: 0.8 pixels, in percent of a red cell's diameter in pixels."""


def measure_blur(image: RgbImage, red_cell_px: float) -> float:
    """Return the width of the cells' edges: about 2 to 4 in a sharp field, 50 at most.

    Args:
        image: Shape (height, width, 3).
        red_cell_px: Diameter of a red cell in this image, in pixels.

    Returns:
        Standard deviation of the blur, in percent of a red cell's diameter.
    """
    middle = _middle(image, red_cell_px)
    if min(middle.shape) < _SMALLEST_RED_CELLS * red_cell_px:
        return MOST_BLUR
    close = _edge_width(middle, red_cell_px, _RED_CELL_PX, _CLOSE_LOOK)
    if min(middle.shape) < _FEWEST_RED_CELLS * red_cell_px:
        return close
    wide = _edge_width(middle, red_cell_px, _WIDE_RED_CELL_PX, _WIDE_LOOK)
    return max(close, wide) if wide > _WIDE_FROM else close


class SharpestSeen:
    """How sharp a device's fields are when they are sharp: its optics, not its focus.

    Until ten fields were seen, ordinary optics are assumed. Later fields can only show that the
    optics are better: a device whose fields are all blurred must not pass for a soft lens. Fields
    of another size in pixels come through other optics, and are remembered apart.
    """

    _FIELDS = 100
    _ENOUGH = 10
    _PERCENTILE = 30
    _SIZES = 16

    def __init__(self) -> None:
        self._recent: dict[tuple[int, int], deque[float]] = {}

    def limit(self, image: RgbImage, red_cell_px: float, excess: float) -> float:
        """Return from which blur on a field is out of focus, in percent of a red cell.

        Args:
            image: The field, shape (height, width, 3).
            red_cell_px: Diameter of a red cell in pixels; small ones are blurred by the pixels.
            excess: How much blur may come on top of the optics', in percent of a red cell.
        """
        optics = float(np.hypot(_ORDINARY_BLUR, _PIXEL_BLUR / red_cell_px))
        seen = self._recent.get(image.shape[:2], ())
        if len(seen) >= self._ENOUGH:
            optics = min(optics, float(np.percentile(seen, self._PERCENTILE)))
        return float(np.hypot(optics, excess))

    def remember(self, image: RgbImage, blur: float) -> None:
        """Take a field into account, sharp or not."""
        seen = self._recent.pop(image.shape[:2], None) or deque(maxlen=self._FIELDS)
        seen.append(blur)
        self._recent[image.shape[:2]] = seen  # the last one used stands last
        if len(self._recent) > self._SIZES:
            self._recent.pop(next(iter(self._recent)))


def _middle(image: RgbImage, red_cell_px: float) -> NDArray[np.float32]:
    """Return the channel that absorbs most, of the middle: an objective's rims are soft."""
    most = max(16, round(_MOST_RED_CELLS * red_cell_px))
    height, width = (min(round(0.8 * side), most) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    red, green, blue = cv2.split(image[top : top + height, left : left + width])
    return np.asarray(cv2.min(cv2.min(red, green), blue), np.float32)


def _edge_width(
    middle: NDArray[np.float32], red_cell_px: float, sized_px: int, look: tuple[float, float]
) -> float:
    """Compare two copies whose smoothing is `look`, with red cells `sized_px` across."""
    factor = sized_px / red_cell_px
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    sized = cv2.resize(middle, None, fx=factor, fy=factor, interpolation=way)
    absorbed = np.asarray(cv2.log(sized + 1), np.float32)
    fine, coarse = look
    smooth = cv2.GaussianBlur(absorbed, (0, 0), coarse * sized_px)
    detail = cv2.GaussianBlur(absorbed, (0, 0), fine * sized_px) if fine else absorbed
    across, down = _gradient(smooth)
    steepness = cv2.magnitude(across, down) + np.float32(1e-6)
    outlines = _outlines(steepness, across / steepness, down / steepness)
    if np.count_nonzero(outlines) < _FEWEST_POINTS:
        return MOST_BLUR
    strong = max(
        float(np.percentile(steepness[outlines], _STRONGEST)),
        _OVER_NOISE * _steepness_of_noise(absorbed, coarse * sized_px),
    )
    chosen = outlines & (steepness >= strong)
    if np.count_nonzero(chosen) < _FEWEST_POINTS:
        return MOST_BLUR
    detail_across, detail_down = _gradient(detail)
    along = (detail_across * across + detail_down * down)[chosen] / steepness[chosen]
    ratio = float(along.sum()) / float(steepness[chosen].sum())
    # ratio² = (s² + coarse²) / (s² + fine²), solved for s.
    width_squared = max(coarse**2 - (ratio * fine) ** 2, 0) / max(ratio**2 - 1, 1e-4)
    return min(MOST_BLUR, 100 * float(np.sqrt(width_squared)))


def _outlines(
    steepness: NDArray[np.float32], across: NDArray[np.float32], down: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Mark where the image is steeper than a pixel before and behind, along the normal."""
    height, width = steepness.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    before = cv2.remap(steepness, x - across, y - down, cv2.INTER_LINEAR)
    behind = cv2.remap(steepness, x + across, y + down, cv2.INTER_LINEAR)
    return np.asarray((steepness >= before) & (steepness >= behind))


def _steepness_of_noise(absorbed: NDArray[np.float32], smoothing_px: float) -> float:
    """Return how steep white noise of this image's strength is after smoothing."""
    grain = np.abs(absorbed - cv2.GaussianBlur(absorbed, (0, 0), 1.0))
    # The median tells the standard deviation of a normal; 0.86 of it survives the subtraction.
    deviation = 1.4826 * float(np.median(grain)) / 0.86
    # A derivative's deviation is deviation / (√(8π) s²); a gradient's mean length 1.25 of that.
    return 1.25 * deviation / float(np.sqrt(8 * np.pi) * smoothing_px**2)


def _gradient(plane: cv2.typing.MatLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)
