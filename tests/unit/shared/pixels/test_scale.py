"""The scale is judged by drawn red cells of known size."""

import cv2
import numpy as np
import pytest

from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.types import RgbImage

GLASS = (225, 220, 215)
RED_CELL = (200, 150, 150)
NUCLEUS = (90, 40, 130)


def _field(height: int, width: int) -> RgbImage:
    return np.full((height, width, 3), GLASS, np.uint8)


def _with_red_cells(diameter: int, height: int = 480, width: int = 640) -> RgbImage:
    image = _field(height, width)
    step = round(diameter * 1.3)
    for y in range(step // 2, height, step):
        for x in range(step // 2, width, step):
            cv2.circle(image, (x, y), diameter // 2, RED_CELL, cv2.FILLED, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.uint8)


@pytest.mark.parametrize("diameter", [36, 60, 90])
def test_red_cells_of_known_size_give_the_scale(diameter):
    scale = estimate_scale(_with_red_cells(diameter))

    assert scale.source == "red-cells"
    # Crisp discs fill their inscribed circle more than real cells, for which it is calibrated.
    assert scale.um_per_px == pytest.approx(7.5 / diameter, rel=0.2)


def test_white_cells_do_not_count_as_large_red_cells():
    plain = _with_red_cells(60)
    with_nuclei = plain.copy()
    for x in (120, 320, 520):
        cv2.circle(with_nuclei, (x, 240), 80, NUCLEUS, cv2.FILLED, cv2.LINE_AA)

    scale = estimate_scale(with_nuclei)

    assert scale.source == "red-cells"
    assert scale.um_per_px == pytest.approx(estimate_scale(plain).um_per_px, rel=0.1)


def test_pale_centres_do_not_halve_the_red_cells():
    solid = _with_red_cells(60)
    pale = solid.copy()
    for y in range(39, 480, 78):
        for x in range(39, 640, 78):
            cv2.circle(pale, (x, y), 12, GLASS, cv2.FILLED, cv2.LINE_AA)

    assert estimate_scale(pale).um_per_px == pytest.approx(estimate_scale(solid).um_per_px, rel=0.1)


def test_vignetting_does_not_change_the_scale():
    image = _with_red_cells(60)
    y, x = np.mgrid[-1:1:480j, -1:1:640j]
    shade = (1 - 0.25 * (x**2 + y**2))[..., None] * np.array([1.0, 0.92, 0.95])

    scale = estimate_scale((image * shade).astype(np.uint8))

    assert scale.source == "red-cells"
    assert scale.um_per_px == pytest.approx(estimate_scale(image).um_per_px, rel=0.1)


def test_the_camera_s_noise_does_not_hide_the_red_cells():
    noise = np.random.default_rng(1).normal(0, 25, (480, 640, 3))
    noisy = np.clip(_with_red_cells(40) + noise, 0, 255).astype(np.uint8)

    scale = estimate_scale(noisy)

    assert scale.source == "red-cells"
    assert scale.um_per_px == pytest.approx(7.5 / 40, rel=0.2)


def test_three_red_cells_are_too_few():
    image = _field(480, 640)
    for x in (100, 300, 500):
        cv2.circle(image, (x, 200), 30, RED_CELL, cv2.FILLED)

    scale = estimate_scale(image)

    assert (scale.um_per_px, scale.source) == (0.1, "assumed")


def _with_some(
    number: int,
    diameter: int,
    *,
    other: int | None = None,
    third: tuple[int, int, int] = RED_CELL,
) -> RgbImage:
    """Red cells apart from each other; every second may be of another size, each third purple."""
    image = _field(480, 640)
    for place in range(number):
        centre = (50 + place % 7 * 90, 50 + place // 7 * 90)
        across = other if other and place % 2 else diameter
        colour = RED_CELL if place % 3 else third
        cv2.circle(image, centre, across // 2, colour, cv2.FILLED, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.uint8)


@pytest.mark.parametrize(("cells", "source"), [(8, "assumed"), (19, "red-cells")])
def test_red_cells_must_fill_a_good_part_of_the_field(cells, source):
    """Eight cover a tenth, nineteen a quarter: specks and rings would cover as little as eight."""
    assert estimate_scale(_with_some(cells, 60)).source == source


def test_many_red_cells_that_are_alike_may_fill_less():
    assert estimate_scale(_with_some(18, 48)).source == "assumed"
    assert estimate_scale(_with_some(24, 40)).source == "red-cells"


@pytest.mark.parametrize(("cells", "source"), [(19, "assumed"), (20, "red-cells")])
def test_twenty_that_are_alike_are_many(cells, source):
    assert estimate_scale(_with_some(cells, 46)).source == source


def test_red_cells_with_a_touch_of_purple_are_no_nuclei():
    assert estimate_scale(_with_some(19, 60, third=(200, 145, 160))).source == "red-cells"


def test_many_platelets_do_not_outvote_few_red_cells():
    few = _with_some(14, 66)
    with_platelets = few.copy()
    for y in range(260, 470, 16):
        for x in range(20, 630, 22):
            cv2.circle(with_platelets, (x, y), 6, RED_CELL, cv2.FILLED, cv2.LINE_AA)

    scale = estimate_scale(cv2.GaussianBlur(with_platelets, (0, 0), 0.8).astype(np.uint8))

    assert scale.source == "red-cells"
    assert scale.um_per_px == pytest.approx(7.5 / 66, rel=0.2)


def test_many_specks_that_are_not_alike_are_no_red_cells():
    assert estimate_scale(_with_some(24, 34, other=56)).source == "assumed"


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_single_colour_gets_the_default(value):
    scale = estimate_scale(np.full((480, 640, 3), value, np.uint8))

    assert (scale.um_per_px, scale.source) == (0.1, "assumed")


def test_a_single_cell_crop_is_taken_to_be_twenty_micrometres_across():
    image = _field(120, 140)
    cv2.circle(image, (70, 60), 40, NUCLEUS, cv2.FILLED)

    scale = estimate_scale(image)

    assert scale.source == "assumed"
    assert scale.um_per_px == pytest.approx(20 / 120)


def test_an_image_of_one_pixel_has_a_scale():
    assert estimate_scale(np.zeros((1, 1, 3), np.uint8)).source == "assumed"


def test_the_same_image_gives_the_same_scale():
    image = _with_red_cells(60)

    assert estimate_scale(image) == estimate_scale(image.copy())
