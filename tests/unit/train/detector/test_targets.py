"""What a detector should answer."""

import numpy as np
import pytest

from hemaline_train.detector.fields import RED, WHITE
from hemaline_train.detector.scenes import DOUBTFUL, Scene
from hemaline_train.detector.targets import target_of


def scene(*cells) -> Scene:
    boxes = np.array([box for box, _ in cells], np.float32).reshape(-1, 4)
    return Scene(np.zeros((64, 96, 4), np.float32), boxes, np.array([kind for _, kind in cells]))


def test_heat_is_one_at_the_centre_of_its_kind_and_nowhere_else():
    heat = target_of(scene(((20, 10, 60, 50), WHITE))).heat

    assert [tuple(place) for place in np.argwhere(heat == 1)] == [(WHITE, 7, 9)]
    assert heat[RED].max() == 0


def test_extents_near_the_centre_give_the_box_back():
    box = (20, 10, 60, 50)
    target = target_of(scene((box, WHITE)))
    rows, columns = np.nonzero(target.near)

    assert len(rows) > 1
    for row, column in zip(rows, columns, strict=True):
        left, top, right, bottom = target.extents[:, row, column]
        x, y = (column + 0.5) * 4, (row + 0.5) * 4
        assert (x - left, y - top, x + right, y + bottom) == pytest.approx(box)


def test_a_red_cell_answers_for_no_box():
    assert target_of(scene(((20, 10, 60, 50), RED))).near.max() == 0


def test_each_of_two_neighbours_answers_for_its_own_box():
    target = target_of(scene(((0, 10, 40, 50), WHITE), ((40, 10, 80, 50), WHITE)))

    assert target.extents[0, 7, 5] == pytest.approx(22 - 0)
    assert target.extents[0, 7, 15] == pytest.approx(62 - 40)


def test_nothing_is_learned_where_a_sliver_lies_unless_a_cell_is_there():
    target = target_of(scene(((0, 0, 8, 60), DOUBTFUL), ((0, 20, 30, 50), WHITE)))

    assert target.known[1, 1] == 0
    assert target.known[1, 20] == 1
    assert target.known[np.unravel_index(target.heat[WHITE].argmax(), (16, 24))] == 1


def test_a_scene_without_a_cell_is_all_cold():
    target = target_of(scene())

    assert target.heat.max() == target.near.max() == 0
    assert target.known.min() == 1
