"""What the pixel pipeline takes and gives: images, scales, leukocytes, crops."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

RgbImage: TypeAlias = NDArray[np.uint8]
"""Shape (height, width, 3), red first, 8 bits a channel."""

ScaleSource: TypeAlias = Literal["configured", "red-cells", "assumed"]
"""Where a scale comes from: the device's optics, the red cells in the field, or a default."""


_TOUCHES_PX = 1
"""A finder rounds: a box that ends beside the last pixel touches the border, too."""


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open rectangle in pixels of the field: left <= x < right, top <= y < bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """The middle as (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def is_cut(self, width: int, height: int) -> bool:
        """Whether it touches the border of a field of so many pixels: such a cell never counts."""
        return (
            self.left <= _TOUCHES_PX
            or self.top <= _TOUCHES_PX
            or self.right >= width - _TOUCHES_PX
            or self.bottom >= height - _TOUCHES_PX
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a pixel is on the slide, in micrometres, and how that is known.

    Attributes:
        fields: How many fields' red cells it is the median of; None: it is not from a pool.
        spread: How far apart these are: their standard deviation as a part of the scale.
    """

    um_per_px: float
    source: ScaleSource
    fields: int | None = None
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class Leukocyte:
    """One white cell that a finder found: its box (nucleus and cytoplasm) and a confidence 0..1."""

    box: Box
    confidence: float


class LeukocyteFinder(Protocol):
    """Finds white cells in a field; classical today, learned beside it later."""

    @property
    def name(self) -> str:
        """What a message says found the cells, with its version: `classical-1`."""

    def find(self, image: RgbImage, scale: Scale) -> list[Leukocyte]:
        """Return the white cells of a field, most confident first; an empty list is an answer."""


@dataclass(frozen=True, slots=True, eq=False)
class CellCrop:
    """One cell at the canonical scale: `pixels` has shape (CROP_PX, CROP_PX, 3)."""

    index: int
    box: Box
    confidence: float
    pixels: RgbImage


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A preprocessed field of view: the image as captured, its scale and its cells."""

    image: RgbImage
    scale: Scale
    cells: tuple[CellCrop, ...]
