"""Features say what they should, and turning a cell does not change them."""

import numpy as np
import pytest

from drawn_sets import KINDS, draw_cell, draw_subtype_field

pytest.importorskip("skimage", reason="make setup-train brings skimage")

from hemaline_shared.pixels.stain import optical_density
from hemaline_train.classical.colour import colour_features
from hemaline_train.classical.features import (
    cell_row,
    describe_cells,
    describe_fields,
    describe_whole,
)
from hemaline_train.classical.masks import CellMasks
from hemaline_train.classical.otsu import segment_by_otsu
from hemaline_train.classical.shape import outline_features, shape_features
from hemaline_train.classical.texture import texture_features


def turned(cell, times):
    return CellMasks(np.rot90(cell.nucleus, times), np.rot90(cell.cell, times))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_turning_a_cell_changes_neither_shape_nor_texture_nor_colour(kind, times):
    drawn = draw_cell(kind, side=160)
    masks = CellMasks(drawn.nucleus, drawn.cell)
    grey = drawn.image[..., 1]
    density = optical_density(drawn.image)
    other = turned(masks, times)
    image = np.ascontiguousarray(np.rot90(drawn.image, times))
    spread = np.ascontiguousarray(np.rot90(density, times))
    pairs = (
        (shape_features(masks), shape_features(other)),
        (
            texture_features(grey, masks.nucleus),
            texture_features(np.ascontiguousarray(np.rot90(grey, times)), other.nucleus),
        ),
        (colour_features(drawn.image, density, masks), colour_features(image, spread, other)),
    )
    for straight, bent in pairs:
        assert np.allclose(straight, bent, rtol=0.03, atol=0.03)


def test_area_is_in_square_micrometres_and_a_disc_is_round():
    rows, columns = np.mgrid[0:120, 0:120]
    circle = np.hypot(rows - 60, columns - 60) <= 25
    area, perimeter, form, eccentricity, solidity, *_ = outline_features(circle)
    assert area == pytest.approx(np.pi * 5**2, rel=0.02)
    assert perimeter == pytest.approx(2 * np.pi * 5, rel=0.08)
    assert form > 0.85
    assert eccentricity < 0.1
    assert solidity > 0.95


def test_a_lobed_nucleus_has_more_lobes_and_is_less_solid_than_a_round_one():
    lobed, round_one = (draw_cell(k) for k in ("neutrophil-segmented", "lymphocyte"))
    solid = [outline_features(one.nucleus)[4] for one in (lobed, round_one)]
    assert solid[0] < solid[1]


def test_a_crop_without_a_cell_has_features_and_none_of_them_is_infinite():
    empty = np.full((224, 224, 3), 230, np.uint8)
    assert np.isfinite(cell_row(segment_by_otsu, empty)).all()
    assert np.isfinite(describe_fields(empty[None])).all()
    assert np.isfinite(describe_whole(empty[None])).all()


def test_every_picture_has_a_row_of_the_same_length():
    cells = np.stack([draw_cell(kind).image for kind in KINDS])
    fields = np.stack([draw_subtype_field(kind, kind) for kind in range(4)])
    for describe, pixels in (
        (describe_cells(segment_by_otsu), cells),
        (describe_whole, cells),
        (describe_fields, fields),
    ):
        rows = describe(pixels)
        assert rows.shape[0] == 4
        assert np.isfinite(rows).all()
        assert len(np.unique(rows, axis=0)) == 4
