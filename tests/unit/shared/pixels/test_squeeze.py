"""A field of any size becomes a picture of a crop's size."""

import numpy as np
import pytest

from hemaline_shared.pixels.squeeze import squeeze_field


@pytest.mark.parametrize("size", [(960, 1280), (224, 224), (100, 120), (2000, 150)])
def test_a_field_of_any_size_is_as_large_as_a_crop(size):
    assert squeeze_field(np.zeros((*size, 3), np.uint8)).shape == (224, 224, 3)


def test_a_larger_field_is_averaged_and_never_aliased():
    stripes = np.zeros((448, 448, 3), np.uint8)
    stripes[::2] = 200
    assert np.all(squeeze_field(stripes) == 100)


def test_places_stay_where_they_are_in_proportion():
    field = np.zeros((448, 896, 3), np.uint8)
    field[224:, 448:] = 255
    squeezed = squeeze_field(field)
    assert squeezed[112:, 112:].min() == 255
    assert squeezed[:112].max() == 0
