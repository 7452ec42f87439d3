"""The same cell in two fields of a slide is known by what lies around it."""

from itertools import combinations

import numpy as np
import pytest

from drawn_fields import draw_field
from hemaline_shared.pixels.repeats import Look, SeenField, same_cells
from hemaline_shared.pixels.types import Box
from parts.overlapping import window

_SMEAR = draw_field(1600, 900, cells=9, seed=4, red_cells=420)


def _seen(view, dice=None, smear=_SMEAR):
    shown, cells = window(smear.image, smear.boxes, view, dice)
    look = Look.unpack(Look.of(shown).pack())
    return SeenField(look, (view.width, view.height), list(cells.values())), list(cells)


def _matches(new, other):
    return {(new[1][mine], other[1][theirs]) for mine, _, theirs in same_cells(new[0], [other[0]])}


def _both(one, two):
    return {(place, place) for place in set(one[1]) & set(two[1])}


@pytest.mark.parametrize("right", [0, 37, 150, 330])
@pytest.mark.parametrize("down", [0, 61, -140])
def test_cells_that_two_fields_share_are_found(right, down):
    dice = np.random.default_rng(right + 7)
    one = _seen(Box(200, 150, 1000, 750), dice)
    two = _seen(Box(200 + right, 150 + down, 1000 + right, 750 + down), dice)
    assert _both(one, two)
    assert _matches(two, one) == _both(one, two)


def test_the_same_picture_again_is_all_seen_before():
    one = _seen(Box(200, 150, 1000, 750))
    assert len(one[1]) >= 4
    assert _matches(one, one) == _both(one, one)


def test_all_other_fields_are_looked_at_not_only_the_last():
    first = _seen(Box(0, 100, 800, 700))
    others = [_seen(Box(0, 0, 800, 600), smear=draw_field(800, 600, seed=n)) for n in range(5)]
    found = same_cells(first[0], [others[0][0], first[0], *(other[0] for other in others[1:])])
    assert {at for _, at, _ in found} == {1}


@pytest.mark.parametrize("seed", range(4))
def test_cells_of_different_places_are_not_the_same(seed):
    smears = [draw_field(800, 600, seed=10 * seed + n, red_cells=150) for n in range(6)]
    fields = [_seen(Box(0, 0, 800, 600), smear=smear) for smear in smears]
    for one, two in combinations(fields, 2):
        assert _matches(one, two) == set()


def test_cells_alike_on_empty_glass_are_not_the_same():
    """Without surroundings there is nothing to know a place by; better twice than never."""
    smears = [draw_field(800, 600, cells=1, seed=seed, red_cells=0) for seed in (1, 2)]
    one, two = (_seen(Box(0, 0, 800, 600), smear=smear) for smear in smears)
    assert _matches(one, two) == set()


def test_a_field_of_one_colour_matches_nothing():
    blank = SeenField(Look.of(np.full((48, 64, 3), 200, np.uint8)), (64, 48), [Box(8, 8, 40, 40)])
    assert same_cells(blank, [blank, blank]) == []


def test_fields_of_another_size_are_not_compared():
    one = _seen(Box(200, 150, 1000, 750))
    two = _seen(Box(200, 150, 1000, 740))
    assert _matches(one, two) == set()


def test_a_look_is_small_and_survives_packing():
    look = Look.of(_SMEAR.image)
    packed = look.pack()
    assert len(packed) < 4096
    assert np.array_equal(Look.unpack(packed).pixels, look.pixels)
    assert look.pixels.shape == (90, 160)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (11, 5)])
def test_any_picture_has_a_look(shape):
    look = Look.of(np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3))
    assert np.array_equal(Look.unpack(look.pack()).pixels, look.pixels)
    field = SeenField(look, (shape[1], shape[0]), [Box(0, 0, shape[1], shape[0])])
    same_cells(field, [field])
