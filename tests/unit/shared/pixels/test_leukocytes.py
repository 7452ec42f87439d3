"""The classical finder on drawn cells, whose places are known exactly."""

import cv2
import numpy as np
import pytest

from hemaline_shared.pixels.leukocytes import ClassicalFinder
from hemaline_shared.pixels.types import Box, Leukocyte, RgbImage, Scale

GLASS = (225, 220, 215)
RED_CELL = (200, 150, 150)
CYTOPLASM = (190, 180, 215)
NUCLEUS = (90, 40, 130)
SCALE = Scale(0.1, "configured")


def _field(height: int = 480, width: int = 640) -> RgbImage:
    image = np.full((height, width, 3), GLASS, np.uint8)
    for x, y in ((60, 60), (560, 80), (90, 400), (580, 400), (320, 60), (300, 430)):
        cv2.circle(image, (x, y), 37, RED_CELL, cv2.FILLED, cv2.LINE_AA)
    return image


def _draw_white_cell(image: RgbImage, x: int, y: int, nucleus_um: float = 8.0) -> Box:
    """Draw a lymphocyte with a rim of 1 µm and return its box."""
    radius = round((nucleus_um / 2 + 1) * 10)
    cv2.circle(image, (x, y), radius, CYTOPLASM, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(image, (x, y), round(nucleus_um * 5), NUCLEUS, cv2.FILLED, cv2.LINE_AA)
    return Box(x - radius, y - radius, x + radius, y + radius)


def _find(image: RgbImage) -> list[Leukocyte]:
    return ClassicalFinder().find(image, SCALE)


def _overlap(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0, width) * max(0, height)
    return shared / (one.width * one.height + other.width * other.height - shared)


def test_a_white_cell_among_red_cells_is_found_with_its_cytoplasm():
    image = _field()
    drawn = _draw_white_cell(image, 400, 240)

    (cell,) = _find(image)

    assert _overlap(cell.box, drawn) > 0.8
    assert cell.confidence > 0.9


def test_red_cells_alone_give_no_white_cell():
    assert _find(_field()) == []


def test_overlapping_red_cells_give_no_white_cell():
    image = _field().astype(np.float32)
    tint = np.array(RED_CELL, np.float32) / np.array(GLASS, np.float32)
    for x in (300, 330, 360):
        disc = cv2.circle(np.zeros((480, 640), np.uint8), (x, 240), 37, 1, cv2.FILLED)
        image[disc > 0] *= tint  # light passes through both: absorbances add

    assert _find(image.astype(np.uint8)) == []


def test_a_platelet_is_not_a_white_cell():
    image = _field()
    cv2.circle(image, (400, 240), 14, NUCLEUS, cv2.FILLED, cv2.LINE_AA)

    assert _find(image) == []


def test_the_lobes_of_one_nucleus_are_one_cell():
    image = _field()
    cv2.circle(image, (320, 240), 62, CYTOPLASM, cv2.FILLED, cv2.LINE_AA)
    for x, y in ((295, 215), (345, 215), (320, 270)):
        cv2.circle(image, (x, y), 17, NUCLEUS, cv2.FILLED, cv2.LINE_AA)

    (cell,) = _find(image)

    assert _overlap(cell.box, Box(258, 178, 382, 302)) > 0.7


def test_two_neighbours_are_two_cells():
    image = _field()
    drawn = [_draw_white_cell(image, x, 240) for x in (250, 355)]

    found = sorted(_find(image), key=lambda cell: cell.box.left)

    assert [_overlap(cell.box, box) > 0.6 for cell, box in zip(found, drawn, strict=True)] == [
        True,
        True,
    ]


def test_two_blasts_whose_nuclei_touch_are_cut_at_the_neck():
    image = _field()
    for x in (260, 368):
        cv2.circle(image, (x, 240), 56, NUCLEUS, cv2.FILLED, cv2.LINE_AA)

    centres = sorted(cell.box.centre[0] for cell in _find(image))

    assert centres == pytest.approx([260, 368], abs=15)


@pytest.mark.parametrize(("x", "y"), [(0, 240), (639, 240), (400, 0), (400, 479)])
def test_a_cell_cut_by_the_border_is_boxed_inside_the_image(x, y):
    image = np.full((480, 640, 3), GLASS, np.uint8)
    _draw_white_cell(image, x, y, nucleus_um=10)

    (cell,) = _find(image)

    box = cell.box
    assert 0 <= box.left < box.right <= 640
    assert 0 <= box.top < box.bottom <= 480
    assert box.left == 0 or box.right == 640 or box.top == 0 or box.bottom == 480


def test_a_coloured_vignette_hides_no_cell():
    image = _field()
    drawn = _draw_white_cell(image, 520, 240)
    y, x = np.mgrid[-1:1:480j, -1:1:640j]
    shade = (1 - 0.25 * (x**2 + y**2))[..., None] * np.array([1.0, 0.9, 0.95])

    (cell,) = _find((image * shade).astype(np.uint8))

    assert _overlap(cell.box, drawn) > 0.6


def test_the_box_is_the_same_in_micrometres_at_half_the_resolution():
    image = _field()
    drawn = _draw_white_cell(image, 400, 240)
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8)

    (cell,) = ClassicalFinder().find(half, Scale(0.2, "configured"))

    box = Box(
        *(2 * edge for edge in (cell.box.left, cell.box.top, cell.box.right, cell.box.bottom))
    )
    assert _overlap(box, drawn) > 0.75


def test_the_most_confident_cell_comes_first():
    image = _field()
    _draw_white_cell(image, 200, 240, nucleus_um=5.5)
    _draw_white_cell(image, 420, 240, nucleus_um=9)

    confidences = [cell.confidence for cell in _find(image)]

    assert len(confidences) == 2
    assert confidences == sorted(confidences, reverse=True)


def test_a_grey_image_has_no_white_cell():
    image = _field()
    _draw_white_cell(image, 400, 240)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)

    found = ClassicalFinder().find(grey.astype(np.uint8), SCALE)

    # Without colour only darkness is left; a red cell must still not pass for a white one.
    assert all(_overlap(cell.box, Box(350, 190, 450, 290)) > 0.5 for cell in found)


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(480, 640, 3), (1, 1, 3), (3, 400, 3), (1, 7, 3)])
def test_a_single_colour_has_no_white_cell(shape, value):
    assert _find(np.full(shape, value, np.uint8)) == []


def test_noise_has_no_white_cell():
    noise = np.random.default_rng(7).integers(0, 256, (300, 400, 3), dtype=np.uint8)

    assert _find(noise) == []


def test_pixels_too_coarse_to_tell_a_nucleus_give_no_white_cell():
    image = _field()
    _draw_white_cell(image, 400, 240)

    assert ClassicalFinder().find(image, Scale(1.0, "configured")) == []


def test_the_same_image_gives_the_same_cells():
    image = _field()
    _draw_white_cell(image, 400, 240)

    assert _find(image) == _find(image.copy())
