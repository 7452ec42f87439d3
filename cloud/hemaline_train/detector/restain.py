"""Change a field's absorbance as another stain, another microscope or a worse focus might."""

import cv2
import numpy as np

from hemaline_shared.pixels.stain import FloatImage, purple
from hemaline_train.detector.config import DetectorConfig

_HUE = 0.35
"""Change of single channels over the change of all."""


def restain(density: FloatImage, config: DetectorConfig, dice: np.random.Generator) -> FloatImage:
    """Stain nuclei and the whole field more or less, in a slightly other hue.

    Args:
        density: Absorbance, shape (height, width, 3).
        config: How far, in `stain`.
        dice: Makes every choice.
    """
    most = config.stain
    azure = dice.uniform(-0.5, 0.5) * most
    changed = density.copy()
    # Azure takes red and green: this much more of it, where there is any.
    changed[..., :2] += (0.5 * azure * np.clip(purple(density), 0, None))[..., None]
    gain = np.exp(dice.uniform(-most, 0.7 * most) + dice.uniform(-1, 1, 3) * _HUE * most)
    return np.asarray(np.clip(changed, -0.5, None) * gain, np.float32)


def worsen(density: FloatImage, config: DetectorConfig, dice: np.random.Generator) -> FloatImage:
    """Blur, tilt the background, add grain.

    Args:
        density: Absorbance, shape (height, width, 3).
        config: How far, in `blur`, `light` and `noise`.
        dice: Makes every choice.
    """
    if config.blur and dice.random() < 0.5:
        sigma = dice.uniform(0.3, max(config.blur, 0.31))
        density = np.asarray(cv2.GaussianBlur(density, (0, 0), sigma), np.float32)
    height, width = density.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    tilt = dice.uniform(-1, 1, 5) * config.light
    surface = tilt[0] + tilt[1] * x + tilt[2] * y + tilt[3] * x * y + tilt[4] * x * x
    grain = dice.standard_normal((height, width, 3), dtype=np.float32)
    if dice.random() < 0.5:  # grain of one pixel, or the coarser one of JPEG and small sensors
        grain = 2 * np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.8), np.float32)
    noisy = density + surface[..., None] + grain * dice.uniform(0, config.noise)
    return np.asarray(noisy, np.float32)
