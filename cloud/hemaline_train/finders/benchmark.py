"""Run a finder over a labelled data set, as the pixel pipeline would run it."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.types import LeukocyteFinder
from hemaline_train.data.manifest import LabelledImage, read_manifest
from hemaline_train.data.pictures import read_picture
from hemaline_train.finders.detection import Rates, Tally, rates, tally

ALL = "all"
"""The split that means every image of a manifest."""


@dataclass(frozen=True, slots=True)
class FinderReport:
    """What a finder did on one data set.

    Attributes:
        each: The counts of each image, and `groups` its group.
        median_ms: The time for scale and finding of one image, None without an image.
    """

    data_set: str
    each: tuple[Tally, ...]
    groups: tuple[str, ...]
    median_ms: float | None

    @property
    def tally(self) -> Tally:
        """The counts of all images."""
        return sum(self.each, Tally())

    @property
    def centre(self) -> Rates:
        """Rates of boxes whose centre hits a cell."""
        return rates(self.tally.centre_hits, self.tally.labelled, self.tally.found)

    @property
    def iou(self) -> Rates:
        """Rates of boxes that overlap a cell's by half or more."""
        return rates(self.tally.overlaps, self.tally.labelled, self.tally.found)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON's types."""
        return {
            "data_set": self.data_set,
            **asdict(self.tally),
            "centre": asdict(self.centre),
            "iou_0.5": asdict(self.iou),
            "median_ms": self.median_ms,
        }


def measure_finder(finder: LeukocyteFinder, folder: Path, split: str) -> FinderReport:
    """Run the finder on a data set's images, with the scale that the pipeline would give it.

    Args:
        finder: What is measured.
        folder: Of the data set.
        split: Of its manifest, or `ALL` for every image.

    Raises:
        PermanentError: The manifest or an image cannot be read.
    """
    images = [image for image in read_manifest(folder) if split in (image.split, ALL)]
    measured = [measure_image(finder, image) for image in images]
    times = [milliseconds for _, milliseconds in measured]
    return FinderReport(
        folder.name,
        tuple(one for one, _ in measured),
        tuple(image.group for image in images),
        median(times) if times else None,
    )


def refuse_nothing_measured(reports: Sequence[FinderReport], split: str) -> None:
    """Raise PermanentError `no-samples` where no data set has an image in the split."""
    if not any(report.each for report in reports):
        names = ", ".join(report.data_set for report in reports)
        raise PermanentError(
            "no-samples",
            f"No image of {names} is in a split called {split}: the manifests' column `split` says "
            "which there are; all takes every image.",
        )


def measure_image(finder: LeukocyteFinder, image: LabelledImage) -> tuple[Tally, float]:
    """Return one image's counts, and the milliseconds for its scale and its cells.

    Raises:
        PermanentError: The image cannot be decoded; the message names the file.
    """
    pixels = read_picture(image.path)
    start = time.perf_counter()
    found = finder.find(pixels, estimate_scale(pixels))
    milliseconds = (time.perf_counter() - start) * 1000
    return tally(found, image.white_cells), milliseconds
