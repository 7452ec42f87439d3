"""Heat maps are packed to sixteen shades a square, those of a field one after the other."""

import numpy as np
import pytest

from hemaline_cloud.database.heat import pack_heats, unpack_heats


@pytest.mark.parametrize(("height", "width"), [(7, 7), (4, 4), (2, 3), (3, 5), (56, 56)])
def test_every_square_comes_back_within_half_a_shade(height, width):
    squares = np.random.default_rng(1).integers(1, 256, (3, height * width), np.uint8)
    packed = pack_heats([one.tobytes() for one in squares])
    assert len(packed) == 3 * ((height * width + 1) // 2)
    back = [np.frombuffer(one, np.uint8) for one in unpack_heats(packed, width, 3)]
    assert np.shape(back) == squares.shape
    assert np.abs(np.array(back, int) - squares).max() <= 8


def test_the_ends_of_the_scale_stay_as_they_are():
    ends = bytes([0, 255, 255, 0])
    assert unpack_heats(pack_heats([ends]), 2, 1) == [ends]


def test_a_cell_without_a_map_has_none_between_others_that_have_one():
    maps = [None, bytes([255, 0, 0, 0]), None, bytes([0, 0, 0, 255])]
    assert unpack_heats(pack_heats(maps), 2, 4) == maps


def test_a_field_without_any_map_stores_nothing():
    assert pack_heats([None, None]) is None
