"""The order of the pixel pipeline: cells at a scale, then crops."""

from hemaline_shared.pixels.crops import cut_crop
from hemaline_shared.pixels.types import Field, LeukocyteFinder, RgbImage, Scale

PIXEL_PIPELINE_VERSION = "1"
"""Raise it with every change that can change a crop's bytes: models are tied to it."""

MAX_CELLS_PER_FIELD = 200
"""More than any readable field holds; what lies beyond is dirt or a failed stain."""


def preprocess(image: RgbImage, finder: LeukocyteFinder, scale: Scale) -> Field:
    """Find a field's white cells and cut a crop of each.

    Args:
        image: The field as captured, shape (height, width, 3).
        finder: What finds the cells.
        scale: The device's optics, or what the red cells say.

    Returns:
        The field with at most `MAX_CELLS_PER_FIELD` cells, the most confident ones.
    """
    found = finder.find(image, scale)[:MAX_CELLS_PER_FIELD]
    cells = tuple(cut_crop(image, cell, index, scale) for index, cell in enumerate(found))
    return Field(image, scale, cells)
