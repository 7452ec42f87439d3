"""The learned and the combined finder on drawn cells, and what happens without their network."""

import cv2
import numpy as np
import pytest

from drawn_fields import draw_field
from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.leukocytes import CombinedFinder, LearnedFinder, learned
from hemaline_shared.pixels.leukocytes.combined import agreed
from hemaline_shared.pixels.types import Box, Leukocyte, RgbImage, Scale

SCALE = Scale(0.17, "configured")


@pytest.fixture(scope="module", params=[LearnedFinder, CombinedFinder])
def finder(request):
    return request.param()


def overlap(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0, width) * max(0, height)
    return shared / (one.width * one.height + other.width * other.height - shared)


def fits(found: list[Leukocyte], boxes: tuple[Box, ...]) -> bool:
    ordered = sorted(found, key=lambda cell: cell.box.left)
    return len(ordered) == len(boxes) and all(
        overlap(cell.box, box) > 0.5 for cell, box in zip(ordered, boxes, strict=True)
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_cells_of_a_drawn_field_are_found_and_nothing_else(finder, seed):
    drawn = draw_field(seed=seed)

    assert fits(finder.find(drawn.image, SCALE), drawn.boxes)


def test_a_dim_coloured_lamp_changes_nothing_that_counts(finder):
    drawn = draw_field()
    lit = (drawn.image * np.array([0.85, 0.65, 0.7])).astype(np.uint8)

    assert fits(finder.find(lit, SCALE), drawn.boxes)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_wrong_scale_is_survived(finder, factor):
    drawn = draw_field()

    assert fits(finder.find(drawn.image, Scale(0.17 * factor, "configured")), drawn.boxes)


def test_the_same_image_gives_the_same_cells(finder):
    image = draw_field().image

    assert finder.find(image, SCALE) == finder.find(image.copy(), SCALE)


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(480, 640, 3), (1, 1, 3), (1, 400, 3)])
def test_a_single_colour_has_no_white_cell(finder, shape, value):
    assert finder.find(np.full(shape, value, np.uint8), SCALE) == []


def test_pixels_too_coarse_to_tell_a_nucleus_give_no_white_cell(finder):
    assert finder.find(draw_field().image, Scale(1.0, "configured")) == []


def test_a_field_answered_in_strips_loses_no_cell_at_their_seams():
    drawn = draw_field(cells=2)
    tall: RgbImage = np.vstack([drawn.image] * 2)
    scale = Scale(0.2, "configured")
    whole = LearnedFinder()
    expected = [cell.box for cell in whole.find(drawn.image, scale)]

    found = whole.find(tall, scale)

    # The strip ends at row 512 of the view, in the second copy.
    assert len(found) == 2 * len(expected) > 0


def test_another_network_is_refused(monkeypatch):
    monkeypatch.setattr(learned, "WEIGHTS_SHA256", "0" * 64)

    with pytest.raises(PermanentError, match="not the file") as error:
        LearnedFinder()
    assert error.value.reason == "finder-weights"


def test_a_missing_network_is_named(monkeypatch):
    monkeypatch.setattr(learned, "WEIGHTS_FILE", "gone.onnx")

    with pytest.raises(PermanentError, match=r"gone\.onnx is missing"):
        LearnedFinder()


def test_what_is_no_network_is_refused():
    with pytest.raises(PermanentError, match="cannot read"):
        LearnedFinder(weights=b"no graph")


HERE, THERE = Box(0, 0, 100, 100), Box(300, 0, 400, 100)
INSIDE = Box(30, 30, 80, 80)


def test_a_sure_network_needs_no_witness():
    assert agreed([Leukocyte(HERE, 0.7)], []) == [Leukocyte(HERE, 0.7)]


def test_an_unsure_network_needs_one():
    assert agreed([Leukocyte(HERE, 0.4)], [Leukocyte(THERE, 0.8)]) == []


def test_a_witness_lifts_the_network_s_own_box():
    assert agreed([Leukocyte(HERE, 0.4)], [Leukocyte(INSIDE, 0.8)]) == [Leukocyte(HERE, 0.8)]


def test_a_very_sure_classical_finder_completes_what_the_network_missed():
    found = agreed([Leukocyte(HERE, 0.7)], [Leukocyte(THERE, 0.97), Leukocyte(INSIDE, 0.99)])

    assert [cell.box for cell in found] == [HERE, THERE]


def test_the_circle_of_a_red_cell_is_none(finder):
    image = np.full((240, 320, 3), (236, 226, 232), np.uint8)
    for x in (60, 160, 260):
        cv2.circle(image, (x, 120), 24, (222, 168, 178), -1, cv2.LINE_AA)

    assert finder.find(image, SCALE) == []
