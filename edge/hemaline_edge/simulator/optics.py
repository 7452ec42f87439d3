"""The microscope and its camera: light, dust, focus and noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_edge.simulator.settings import SmearSettings
from hemaline_shared.pixels.types import RgbImage

MARK = "SIMULATED"
_MARK_PX = (118, 20)  # width and height of the plate behind the mark
_NOISE_MARGIN = 64
_COARSE_PX = 8


class Camera:
    """One camera: its dust and its noise stay the same from slide to slide."""

    def __init__(self, settings: SmearSettings) -> None:
        self._size = (settings.height, settings.width)
        rng = np.random.default_rng([settings.seed, 201])
        self._shade = _vignette(rng, self._size)
        self._dust = _dust(rng, self._size)
        grainy = (settings.height + _NOISE_MARGIN, settings.width + _NOISE_MARGIN, 3)
        self._brighter, self._darker = np.empty(grainy, np.uint8), np.empty(grainy, np.uint8)
        for channel in range(3):
            noise = rng.standard_normal(grainy[:2], dtype=np.float32)
            # Demosaicing spreads a pixel's noise to its neighbours.
            noise = 1.9 * cv2.GaussianBlur(noise, (0, 0), 0.7)
            self._brighter[..., channel] = np.rint(np.clip(noise, 0, None))
            self._darker[..., channel] = np.rint(np.clip(-noise, 0, None))

    def lamp(self, rng: np.random.Generator) -> RgbImage:
        """Return what empty glass looks like on one slide: colour, unevenness and dust."""
        height, width = self._size
        red, blue = rng.uniform(234, 246), rng.uniform(206, 238)  # cream to cool white, no green
        glass = np.array([red, (red + blue) / 2 + rng.uniform(-3, 5), blue])
        x, y = _axes(self._size)
        slope = 1 + x * rng.uniform(-0.035, 0.035) + y * rng.uniform(-0.035, 0.035)
        coarse = (glass * self._shade * slope[..., np.newaxis]).astype(np.float32)
        light = np.rint(cv2.resize(coarse, (width, height))).astype(np.uint8)
        return np.asarray(cv2.multiply(light, self._dust, scale=1 / 255), np.uint8)

    def expose(
        self, light: RgbImage, lamp: RgbImage, gain: float, rng: np.random.Generator
    ) -> RgbImage:
        """Return what the sensor records of the light that a field lets through.

        Args:
            light: Share of light per pixel, 255 for all of it.
            lamp: From `lamp`.
            gain: 1.0 for a well-set exposure; values beyond 255 burn out.
            rng: Chooses which part of the noise falls on this field.
        """
        height, width = self._size
        image = cv2.multiply(light, lamp, scale=gain / 255)
        y, x = (int(offset) for offset in rng.integers(0, _NOISE_MARGIN, 2))
        image = cv2.add(image, self._brighter[y : y + height, x : x + width])
        image = cv2.subtract(image, self._darker[y : y + height, x : x + width])
        return mark(image.astype(np.uint8, copy=False))


def defocus(light: RgbImage, sigma_px: float) -> RgbImage:
    """Blur as an objective does that is off by some micrometres."""
    return cv2.GaussianBlur(light, (0, 0), sigma_px).astype(np.uint8, copy=False)


def mark(image: RgbImage) -> RgbImage:
    """Write that the image is simulated into its lower left corner, in place.

    The letters are soft, so that a blurred field does not measure as sharp because of them.
    """
    width, tall = _MARK_PX
    corner = image[-tall:, :width]
    plate = (corner // 4 + 165).astype(np.uint8)
    place, ink = (6, tall - 6), (110, 110, 110)
    cv2.putText(plate, MARK, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)
    corner[:] = cv2.GaussianBlur(plate, (0, 0), 0.8)
    return image


def _axes(size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return -1 to 1 across and down, coarse: light changes slowly over a field."""
    height, width = (pixels // _COARSE_PX for pixels in size)
    return np.linspace(-1, 1, width)[np.newaxis, :], np.linspace(-1, 1, height)[:, np.newaxis]


def _vignette(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the fall of light towards the corners, a little more in blue; coarse, 3 channels."""
    x, y = _axes(size)
    off_x, off_y = rng.uniform(-0.12, 0.12, 2)
    reach = ((x - off_x) ** 2 + (y - off_y) ** 2)[..., np.newaxis] / 2
    fall = rng.uniform(0.1, 0.17) * np.array([0.95, 1.0, 1.1])
    return np.asarray(1 - fall * reach, np.float64)


def _dust(rng: np.random.Generator, size: tuple[int, int]) -> RgbImage:
    """Return shadows of dust on the sensor: small, blurred, some as rings; 255 for none."""
    light = np.full((*size, 3), 255, np.uint8)
    for _ in range(int(rng.integers(5, 10))):
        place = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        shade = int(rng.integers(205, 240))
        thickness = int(rng.choice([-1, 2]))
        cv2.circle(light, place, int(rng.integers(2, 7)), (shade,) * 3, thickness)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), 1.6), np.uint8)
