"""The segmenters find nucleus and cell of drawn cells whose masks are known."""

import numpy as np
import pytest

from drawn_sets import KINDS, draw_cell

pytest.importorskip("skimage", reason="make setup-train brings skimage")

from hemaline_train.classical.canny_watershed import adaptive_edges, segment_by_watershed
from hemaline_train.classical.kmeans import segment_by_kmeans
from hemaline_train.classical.masked_images import segment_whole
from hemaline_train.classical.masks import dice, middle_nucleus
from hemaline_train.classical.otsu import segment_by_otsu

SEGMENTERS = [segment_by_kmeans, segment_by_watershed, segment_by_otsu]


@pytest.mark.parametrize("segmenter", [segment_by_kmeans, segment_by_watershed])
@pytest.mark.parametrize("kind", KINDS)
def test_nucleus_and_cell_of_a_drawn_cell_are_found(segmenter, kind):
    drawn = draw_cell(kind, seed=3)
    found = segment_whole(segmenter, drawn.image, 0.1)
    assert dice(found.nucleus, drawn.nucleus) > 0.85
    assert dice(found.cell, drawn.cell) > 0.75


@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_alone_find_the_nucleus_and_at_least_half_of_the_cell(kind):
    drawn = draw_cell(kind, seed=3)
    found = segment_whole(segment_by_otsu, drawn.image, 0.1)
    assert dice(found.nucleus, drawn.nucleus) > 0.8
    assert dice(found.cell, drawn.cell) > 0.5


@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_the_nucleus_lies_within_the_cell(segmenter):
    found = segment_whole(segmenter, draw_cell("blast").image, 0.1)
    assert not (found.nucleus & ~found.cell).any()
    assert (found.cytoplasm == (found.cell & ~found.nucleus)).all()


@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_the_same_crop_gives_the_same_masks(segmenter):
    crop = draw_cell("lymphocyte", seed=5, side=112).image
    one, other = segmenter(crop), segmenter(crop)
    assert (one.cell == other.cell).all()
    assert (one.nucleus == other.nucleus).all()


@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_empty_glass_holds_no_nucleus(segmenter):
    found = segmenter(np.full((112, 112, 3), 230, np.uint8))
    assert not found.nucleus.any()
    assert not found.cell.any()


def test_a_neighbour_at_the_border_is_not_the_cell_in_the_middle():
    nuclear = np.zeros((112, 112), bool)
    nuclear[46:66, 46:66] = True
    nuclear[0:30, 0:30] = True
    kept = middle_nucleus(nuclear)
    assert kept[56, 56]
    assert not kept[10, 10]


def test_edges_need_no_threshold_of_the_caller():
    step = np.zeros((40, 40))
    step[:, 20:] = 1.0
    for height in (0.05, 5.0):
        edges = adaptive_edges(step * height)
        assert edges[20, 18:22].any()
        assert not edges[:, :10].any()


def test_dice_of_equal_masks_is_one_and_of_separate_ones_zero():
    one, other = np.eye(4, dtype=bool), ~np.eye(4, dtype=bool)
    assert dice(one, one) == 1.0
    assert dice(one, other) == 0.0
    assert dice(one & other, one & other) == 1.0
