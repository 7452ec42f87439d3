"""A crop shows its cell in the middle, at one scale, wherever and however it was captured."""

import cv2
import numpy as np
import pytest

from hemaline_shared.pixels.crops import CANONICAL_UM_PER_PX, CROP_PX, cut_crop
from hemaline_shared.pixels.types import Box, Leukocyte, Scale

GLASS = (225, 215, 220)
NUCLEUS = (90, 40, 130)


def field_with_nucleus(centre, diameter_um: float, um_per_px: float):
    """A field of empty glass with one round nucleus, and the cell's box."""
    image = np.full((600, 800, 3), GLASS, np.uint8)
    radius = round(diameter_um / um_per_px / 2)
    cv2.circle(image, centre, radius, NUCLEUS, -1)
    x, y = centre
    box = Box(max(x - radius, 0), max(y - radius, 0), x + radius + 1, y + radius + 1)
    return image, Leukocyte(box, 0.9)


def dark(pixels) -> np.ndarray:
    return pixels[:, :, 1] < 128


@pytest.mark.parametrize("um_per_px", [0.05, 0.08, CANONICAL_UM_PER_PX, 0.13, 0.25])
def test_a_cell_has_the_same_size_at_every_magnification(um_per_px):
    image, cell = field_with_nucleus((400, 300), 10.0, um_per_px)
    crop = cut_crop(image, cell, 3, Scale(um_per_px, "configured"))
    assert crop.pixels.shape == (CROP_PX, CROP_PX, 3)
    assert crop.pixels.dtype == np.uint8
    across = dark(crop.pixels).any(axis=0).sum() * CANONICAL_UM_PER_PX
    assert across == pytest.approx(10.0, abs=0.6)
    rows, columns = np.nonzero(dark(crop.pixels))
    assert (rows.mean(), columns.mean()) == pytest.approx((CROP_PX / 2,) * 2, abs=2)


def test_a_crop_carries_what_is_known_of_its_cell():
    image, cell = field_with_nucleus((400, 300), 10.0, 0.1)
    crop = cut_crop(image, cell, 7, Scale(0.1, "assumed"))
    assert (crop.index, crop.box, crop.confidence) == (7, cell.box, 0.9)


def test_at_the_canonical_scale_no_pixel_is_touched():
    image = np.random.default_rng(4).integers(0, 256, (400, 400, 3), np.uint8)
    crop = cut_crop(image, Leukocyte(Box(180, 190, 220, 230), 1.0), 0, Scale(0.1, "configured"))
    assert np.array_equal(crop.pixels, image[210 - 112 : 210 + 112, 200 - 112 : 200 + 112])


@pytest.mark.parametrize("centre", [(0, 0), (799, 599), (0, 300), (400, 599), (799, 0)])
def test_beyond_the_field_there_is_empty_glass_and_no_smeared_nucleus(centre):
    image, cell = field_with_nucleus(centre, 10.0, 0.1)
    crop = cut_crop(image, cell, 0, Scale(0.1, "configured"))
    whole_disc = np.pi * (5.0 / CANONICAL_UM_PER_PX) ** 2
    assert dark(crop.pixels).sum() < 0.55 * whole_disc
    corners = crop.pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == GLASS).all()


def test_a_field_smaller_than_a_crop_is_framed_in_glass():
    image = np.full((60, 50, 3), GLASS, np.uint8)
    crop = cut_crop(image, Leukocyte(Box(10, 10, 40, 50), 0.5), 0, Scale(0.1, "assumed"))
    assert (crop.pixels == GLASS).all()


def test_the_same_cell_gives_the_same_bytes():
    image = np.random.default_rng(4).integers(0, 256, (400, 400, 3), np.uint8)
    cell = Leukocyte(Box(30, 21, 99, 80), 1.0)
    first, second = (cut_crop(image, cell, 0, Scale(0.073, "red-cells")) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
