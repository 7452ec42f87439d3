"""Repeats are found, and nothing else, on fields of real smears."""

import csv
from itertools import islice

import cv2
import numpy as np
import pytest

from hemaline_shared.pixels.repeats import Look, SeenField, same_cells
from hemaline_shared.pixels.types import Box
from parts.overlapping import window

_NOT_WHITE = ("RBC", "Platelet")
_PICTURES = 150


def _pictures(folder):
    with (folder / "manifest.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            parts = [part.split(":") for part in row["bbox"].split(";") if ":" in part]
            boxes = [Box(*map(int, xs.split(","))) for name, xs in parts if name not in _NOT_WHITE]
            if boxes:
                bgr = cv2.imread(str(folder / row["file"]))
                yield row["group"], np.ascontiguousarray(bgr[:, :, ::-1]), boxes


def _windows(picture, boxes, share, dice):
    """Two views of one picture, each with the places of its whole cells."""
    height, width = picture.shape[:2]
    wide, high = int(width * share), int(height * share)
    for _ in range(2):
        left, top = int(dice.integers(width - wide + 1)), int(dice.integers(height - high + 1))
        shown, cells = window(picture, boxes, Box(left, top, left + wide, top + high), dice)
        yield SeenField(Look.of(shown), (wide, high), list(cells.values())), list(cells)


@pytest.fixture(scope="module", params=[("bccd", 0.7), ("chula-wbc5", 0.7), ("txl-pbc", 0.75)])
def views(request, data_dir):
    """Data set -> two views of each picture, with its group."""
    name, share = request.param
    dice = np.random.default_rng(0)
    made = [
        (group, list(_windows(picture, boxes, share, dice)))
        for group, picture, boxes in islice(_pictures(data_dir / name), _PICTURES)
    ]
    return name, made


def test_a_cell_in_two_views_is_found_again(views):
    name, made = views
    repeats = found = 0
    for _, ((one, its), (two, others)) in made:
        shared = {(place, place) for place in set(its) & set(others)}
        pairs = {(its[mine], others[theirs]) for mine, _, theirs in same_cells(one, [two])}
        repeats += len(shared)
        found += len(pairs & shared)
        assert pairs <= shared
    print(f"{name}: {found} of {repeats} repeats found")  # noqa: T201
    assert found >= 0.9 * repeats


def test_cells_of_other_groups_are_not_the_same(views):
    """Within a group (a slide, or pictures alike) the sets hold true repeats."""
    name, made = views
    compared = wrong = 0
    for group, ((one, _), _) in made:
        others = [two for other, (_, (two, _)) in made if other != group]
        compared += len(others)
        wrong += len(same_cells(one, others))
    print(f"{name}: {wrong} repeats among {compared} pairs of different places")  # noqa: T201
    assert wrong == 0
