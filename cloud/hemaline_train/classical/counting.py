"""Judge what finds cells: hits, and how far the count of a field is off."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.types import LeukocyteFinder
from hemaline_train.classical.bench import FIELD_SETS, OTHER_FIELD_SETS, Bench
from hemaline_train.classical.report import Entry, entries_of
from hemaline_train.data.manifest import LabelledImage
from hemaline_train.data.pictures import read_picture
from hemaline_train.finders.detection import tally
from hemaline_train.judging.metrics import Interval, over_groups_each

TASK = "detection"


def judge_finder(finder: LeukocyteFinder, bench: Bench, resamples: int) -> list[Entry]:
    """Run a finder over the fields that judge, with the scale that the pipeline would estimate.

    Raises:
        PermanentError: The data cannot be read.
    """
    parts = bench.fields(FIELD_SETS, "val") | bench.fields(OTHER_FIELD_SETS, "all")
    entries = []
    for name, images in parts.items():
        if images:
            groups = len({image.group for image in images})
            figures = measure_fields(finder, images, resamples)
            entries += entries_of(
                figures, variant="", task=TASK, data_set=name, n=len(images), groups=groups
            )
    return entries


def measure_fields(
    finder: LeukocyteFinder, images: Sequence[LabelledImage], resamples: int
) -> dict[str, Interval]:
    """Return F1 at an overlap of a half, and the mean absolute error of a field's count."""
    counts = np.array([_counts(finder, image) for image in images], np.float64)
    return over_groups_each(
        {"f1": lambda at: _f1(counts[at]), "count_error": lambda at: _count_error(counts[at])},
        [image.group for image in images],
        resamples,
    )


def _counts(finder: LeukocyteFinder, image: LabelledImage) -> tuple[int, int, int]:
    pixels = read_picture(image.path)
    one = tally(finder.find(pixels, estimate_scale(pixels)), image.white_cells)
    return one.overlaps, one.labelled, one.found


def _f1(counts: NDArray[np.float64]) -> float | None:
    hits, labelled, found = counts.sum(axis=0).tolist()
    return 2 * hits / (labelled + found) if labelled + found else None


def _count_error(counts: NDArray[np.float64]) -> float:
    return float(np.abs(counts[:, 2] - counts[:, 1]).mean())
