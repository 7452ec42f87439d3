"""Crops survive unchanged, fields look right, thumbnails are small."""

import cv2
import numpy as np
import pytest

from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.encode import encode_crop, encode_field, encode_thumbnail
from hemaline_shared.pixels.header import inspect_image


def test_a_crop_comes_back_bit_for_bit():
    pixels = np.random.default_rng(1).integers(0, 256, (224, 224, 3), np.uint8)
    encoded = encode_crop(pixels)
    assert inspect_image(encoded).media_type == "image/png"
    assert np.array_equal(decode_image(encoded), pixels)
    assert encode_crop(pixels) == encoded


def test_a_field_keeps_its_colours_at_full_resolution():
    # Single red and blue columns: halved chroma would mix them to purple.
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = [200, 60, 90]
    stripes[:, 1::2] = [90, 60, 200]
    encoded = encode_field(stripes)
    assert inspect_image(encoded).media_type == "image/jpeg"
    assert np.abs(decode_image(encoded).astype(int) - stripes).mean() < 3


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ((960, 1280), (192, 256)),
        ((1280, 960), (256, 192)),
        ((100, 80), (100, 80)),
        ((4000, 2), (256, 1)),
    ],
)
def test_a_thumbnail_fits_its_longest_side_and_never_grows(shape, small):
    image = np.full((*shape, 3), [180, 120, 60], np.uint8)
    decoded = decode_image(encode_thumbnail(image))
    assert decoded.shape[:2] == small
    assert np.abs(decoded[0, 0].astype(int) - [180, 120, 60]).max() <= 4


def test_a_view_into_a_larger_image_is_encoded_as_what_it_shows():
    image = cv2.resize(np.random.default_rng(2).integers(0, 256, (8, 8, 3), np.uint8), (100, 100))
    view = image[10:60:2, 20:70][:, ::-1]
    assert np.array_equal(decode_image(encode_crop(view)), view)
