"""Heat maps are packed to sixteen shades a square."""

import numpy as np
import pytest

from hemaline_cloud.database.heat import pack_heat, unpack_heat


@pytest.mark.parametrize(("height", "width"), [(7, 7), (4, 4), (2, 3), (3, 5), (56, 56)])
def test_every_square_comes_back_within_half_a_shade(height, width):
    squares = np.random.default_rng(1).integers(0, 256, height * width, np.uint8)
    packed = pack_heat(squares.tobytes())
    assert len(packed) == (height * width + 1) // 2
    back = np.frombuffer(unpack_heat(packed, width), np.uint8)
    assert back.shape == squares.shape
    assert np.abs(back.astype(int) - squares).max() <= 8


def test_the_ends_of_the_scale_stay_as_they_are():
    assert unpack_heat(pack_heat(bytes([0, 255, 255, 0])), 2) == bytes([0, 255, 255, 0])
