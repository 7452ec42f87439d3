"""The classical finder on real fields, with floors just below what was measured."""

from pathlib import Path

import pytest

from hemaline_shared.pixels.leukocytes import ClassicalFinder
from hemaline_train.data.manifest import read_manifest
from hemaline_train.finders.benchmark import measure_image
from hemaline_train.finders.detection import Tally, rates

IMAGES = 40
"""Spread evenly over each data set; the figures of all images are in docs/leukocyte-finding.md."""


@pytest.mark.parametrize(
    ("data_set", "centre_f1", "iou_f1"),
    [
        ("bccd", 0.95, 0.92),
        ("txl-pbc", 0.95, 0.92),
        ("draaslan-bcd", 0.95, 0.92),
        ("chula-wbc5", 0.85, 0.82),
        ("wbc-seg", 0.93, 0.88),
    ],
)
def test_white_cells_of_five_optics_are_found(data_dir: Path, data_set, centre_f1, iou_f1):
    images = read_manifest(data_dir / data_set)
    sample = images[:: max(1, len(images) // IMAGES)]

    total = sum((measure_image(ClassicalFinder(), image)[0] for image in sample), Tally())

    assert total.labelled >= IMAGES
    centre = rates(total.centre_hits, total.labelled, total.found)
    boxes = rates(total.overlaps, total.labelled, total.found)
    assert centre.f1 >= centre_f1, centre
    assert boxes.f1 >= iou_f1, boxes
