"""From a network's maps to boxes in pixels of the image."""

import numpy as np

from hemaline_shared.pixels.leukocytes.answers import MAPS, cells_of_answer
from hemaline_shared.pixels.leukocytes.view import MARGIN_PX
from hemaline_shared.pixels.types import Box

ZOOM = (0.5, 0.5)
IMAGE = (300, 400, 3)


def answer(*cells: tuple[int, int, float, float]) -> np.ndarray:
    """Maps with a peak at (row, column), this likely, and a box that reaches this far."""
    maps = np.zeros((MAPS, 40, 50), np.float32)
    for row, column, likely, reach in cells:
        maps[0, row, column] = likely
        maps[1:, row, column] = reach
    return maps


def boxes(maps: np.ndarray, sure_enough: float = 0.5) -> list[Box]:
    return [cell.box for cell in cells_of_answer(maps, ZOOM, IMAGE, sure_enough)]


def test_a_peak_becomes_a_box_round_its_place_in_the_image():
    middle = ((10.5 * 4 - MARGIN_PX) * 2, (20.5 * 4 - MARGIN_PX) * 2)

    (box,) = boxes(answer((20, 10, 0.9, 15.0)))

    assert box.centre == middle
    assert (box.width, box.height) == (60, 60)


def test_the_surest_cell_comes_first():
    maps = answer((20, 10, 0.6, 10.0), (10, 30, 0.9, 10.0))

    assert [cell.confidence for cell in cells_of_answer(maps, ZOOM, IMAGE, 0.5)] == [
        np.float32(0.9),
        np.float32(0.6),
    ]


def test_an_unsure_peak_is_no_cell():
    assert boxes(answer((20, 10, 0.4, 15.0))) == []


def test_a_slope_is_no_peak():
    assert len(boxes(answer((20, 10, 0.9, 15.0), (20, 11, 0.8, 15.0)))) == 1


def test_a_cell_is_reported_once_though_two_peaks_answer_for_it():
    assert len(boxes(answer((20, 10, 0.9, 15.0), (20, 12, 0.8, 15.0)))) == 1


def test_a_lobe_inside_a_cell_is_no_second_cell():
    assert len(boxes(answer((20, 10, 0.9, 20.0), (20, 12, 0.8, 6.0)))) == 1


def test_neighbours_that_touch_are_two_cells():
    assert len(boxes(answer((20, 10, 0.9, 15.0), (20, 17, 0.8, 15.0)))) == 2


def test_a_box_ends_at_the_border_of_the_image():
    (box,) = boxes(answer((3, 3, 0.9, 40.0)))

    assert (box.left, box.top) == (0, 0)


def test_a_box_outside_the_image_is_dropped():
    assert boxes(answer((0, 0, 0.9, 2.0))) == []
