"""Score a finder's boxes against labelled ones: centre hits and overlap, one to one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hemaline_shared.pixels.types import Box, Leukocyte

OVERLAP_NEEDED = 0.5
"""Intersection over union from which a box counts as found."""

Closeness: TypeAlias = Callable[[Box, Box], float | None]
"""How well a found box fits a labelled one: higher is better, None is no match."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over one image or, added up, over many."""

    images: int = 0
    labelled: int = 0
    found: int = 0
    centre_hits: int = 0
    overlaps: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.images + other.images,
            self.labelled + other.labelled,
            self.found + other.found,
            self.centre_hits + other.centre_hits,
            self.overlaps + other.overlaps,
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """Recall, precision and their harmonic mean; None where nothing was there to divide by."""

    recall: float | None
    precision: float | None
    f1: float | None


def tally(found: Sequence[Leukocyte], labelled: Sequence[Box]) -> Tally:
    """Count one image's hits."""
    return Tally(
        images=1,
        labelled=len(labelled),
        found=len(found),
        centre_hits=count_matches(found, labelled, centre_inside),
        overlaps=count_matches(found, labelled, enough_overlap),
    )


def count_matches(found: Sequence[Leukocyte], labelled: Sequence[Box], closeness: Closeness) -> int:
    """Match one to one, the most confident first, each to the best box still free."""
    free = list(labelled)
    for cell in sorted(found, key=lambda one: -one.confidence):
        fits = [
            (fit, index)
            for index, box in enumerate(free)
            if (fit := closeness(cell.box, box)) is not None
        ]
        if fits:
            del free[max(fits)[1]]
    return len(labelled) - len(free)


def centre_inside(found: Box, labelled: Box) -> float | None:
    """Fit of a box whose centre lies in the labelled one: their overlap."""
    x, y = found.centre
    inside = labelled.left <= x < labelled.right and labelled.top <= y < labelled.bottom
    return overlap(found, labelled) if inside else None


def enough_overlap(found: Box, labelled: Box) -> float | None:
    """Fit of a box that overlaps the labelled one by half or more."""
    fit = overlap(found, labelled)
    return fit if fit >= OVERLAP_NEEDED else None


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union, 0..1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)


def rates(hits: int, labelled: int, found: int) -> Rates:
    """Turn counts into recall, precision and F1."""
    return Rates(
        recall=hits / labelled if labelled else None,
        precision=hits / found if found else None,
        f1=2 * hits / (labelled + found) if labelled + found else None,
    )
