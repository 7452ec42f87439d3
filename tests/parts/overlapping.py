"""Windows cut out of one picture, as a moving stage shows one smear."""

from collections.abc import Sequence

import cv2
import numpy as np

from hemaline_shared.pixels.types import Box, RgbImage


def spoilt(image: RgbImage, dice: np.random.Generator) -> RgbImage:
    """Another exposure of the same view: brightness, contrast and JPEG as they come."""
    light = image.astype(np.float32) * (1 + dice.uniform(-0.15, 0.15)) + dice.uniform(-12, 12)
    bgr = np.clip(light, 0, 255).astype(np.uint8)[:, :, ::-1]
    quality = int(dice.integers(50, 96))
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[:, :, ::-1])


def window(
    image: RgbImage, boxes: Sequence[Box], view: Box, dice: np.random.Generator | None = None
) -> tuple[RgbImage, dict[int, Box]]:
    """Return a view of a picture and its whole cells, each box as another look would draw it.

    Returns:
        The view, and the place among `boxes` of each cell that lies in it whole.
    """
    shown = image[view.top : view.bottom, view.left : view.right]
    whole = {}
    for place, box in enumerate(boxes):
        off = dice.integers(-5, 6, 4).tolist() if dice else [0] * 4
        moved = Box(
            box.left - view.left + off[0],
            box.top - view.top + off[1],
            box.right - view.left + off[2],
            box.bottom - view.top + off[3],
        )
        inside = moved.left > 1 and moved.right < view.width - 1
        if inside and moved.top > 1 and moved.bottom < view.height - 1:
            whole[place] = moved
    return (spoilt(shown, dice) if dice else np.ascontiguousarray(shown)), whole
