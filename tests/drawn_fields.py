"""Cartoons of fields whose white cells' boxes are known."""

from dataclasses import dataclass

import cv2
import numpy as np

from hemaline_shared.packing import FieldImages
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.pixels.types import Box, RgbImage


@dataclass(frozen=True)
class Drawn:
    image: RgbImage
    boxes: tuple[Box, ...]

    @property
    def images(self) -> FieldImages:
        crops = (
            cv2.resize(self.image[b.top : b.bottom, b.left : b.right], (224, 224))
            for b in self.boxes
        )
        return FieldImages(
            encode_field(self.image),
            tuple(encode_crop(crop.astype(np.uint8)) for crop in crops),
        )


def draw_field(
    width: int = 640, height: int = 480, cells: int = 3, seed: int = 0, red_cells: int = 70
) -> Drawn:
    """A cartoon of a smear: red cells, and violet white cells whose boxes are known."""
    random = np.random.default_rng(seed)
    image = np.full((height, width, 3), (236, 226, 232), np.uint8)
    for _ in range(red_cells):
        centre = (int(random.integers(0, width)), int(random.integers(0, height)))
        cv2.circle(image, centre, 24, (222, 168, 178), -1, cv2.LINE_AA)
        cv2.circle(image, centre, 8, (230, 192, 198), -1, cv2.LINE_AA)
    boxes = []
    for place in range(cells):
        x = (place + 1) * width // (cells + 1)
        y = int(random.integers(80, height - 80))
        cv2.circle(image, (x, y), 42, (196, 178, 214), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y), (30, 26), int(random.integers(180)), 0, 360, (96, 62, 150), -1)
        boxes.append(Box(x - 42, y - 42, x + 42, y + 42))
    return Drawn(image, tuple(boxes))
