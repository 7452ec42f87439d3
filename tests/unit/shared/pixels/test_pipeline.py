"""The pipeline asks for the cells at a scale, and keeps the surest of them."""

import numpy as np
import pytest

from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.pipeline import MAX_CELLS_PER_FIELD, preprocess
from hemaline_shared.pixels.types import Box, Leukocyte, Scale


class ScriptedFinder:
    """Finds what it was told to, and remembers the scale it was given."""

    name = "scripted-1"

    def __init__(self, *cells: Leukocyte) -> None:
        self.cells = list(cells)
        self.scales: list[Scale] = []

    def find(self, image, scale):  # noqa: ARG002 - the protocol names it
        self.scales.append(scale)
        return self.cells


@pytest.fixture
def field_of_view():
    return np.random.default_rng(3).integers(150, 255, (300, 400, 3), np.uint8)


def cell_at(left: int, confidence: float) -> Leukocyte:
    return Leukocyte(Box(left, 50, left + 60, 110), confidence)


def test_each_found_cell_becomes_a_numbered_crop(field_of_view):
    finder = ScriptedFinder(cell_at(100, 0.9), cell_at(20, 0.6))
    field = preprocess(field_of_view, finder, Scale(0.1, "configured"))
    assert field.image is field_of_view
    assert [(cell.index, cell.box.left, cell.confidence) for cell in field.cells] == [
        (0, 100, 0.9),
        (1, 20, 0.6),
    ]
    assert all(cell.pixels.shape == (CROP_PX, CROP_PX, 3) for cell in field.cells)


def test_a_field_without_cells_is_an_answer(field_of_view):
    assert preprocess(field_of_view, ScriptedFinder(), Scale(0.1, "configured")).cells == ()


def test_the_finder_is_told_the_scale_of_the_field(field_of_view):
    finder = ScriptedFinder()
    field = preprocess(field_of_view, finder, Scale(0.12, "configured"))
    assert field.scale == Scale(0.12, "configured")
    assert finder.scales == [field.scale]


def test_rubbish_cannot_flood_and_the_surest_cells_stay(field_of_view):
    flood = [cell_at(n % 300, 1 - n / 1000) for n in range(MAX_CELLS_PER_FIELD + 50)]
    field = preprocess(field_of_view, ScriptedFinder(*flood), Scale(0.2, "configured"))
    assert len(field.cells) == MAX_CELLS_PER_FIELD
    assert field.cells[-1].confidence == flood[MAX_CELLS_PER_FIELD - 1].confidence
