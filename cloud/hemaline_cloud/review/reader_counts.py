"""The differential as a reader counted it, from a signed report. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from pydantic import Field

from hemaline_cloud.blasts import ENOUGH_CELLS, THRESHOLDS, blast_flags, held_against
from hemaline_cloud.cell_classes import CELL_CLASSES, COARSER
from hemaline_cloud.database.summary import (
    BesideShare,
    BlastShare,
    ClassShare,
    Counting,
    Flag,
    SlideSummary,
    without_machine,
)
from hemaline_cloud.review.report import NO_CLASS, SignedReport


class ReadShare(ClassShare):
    """One class of the differential as a reader counted it.

    Attributes:
        of_which: Finer class -> how many of the cells they named so exactly.
    """

    of_which: dict[str, int] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """A result as people call its cells.

    Attributes:
        named: How many cells they have named.
        summary: The model's own while that is none.
        leukocytes_named: How many of them count, and are leukocytes.
    """

    named: int
    summary: SlideSummary
    leukocytes_named: int


BESIDE = frozenset({"erythroblast", "smudge", "platelet", "artefact"})
"""No intact leukocytes: they are counted beside a differential, or not at all."""
BLASTS = frozenset({"blast", "promonocyte"})
"""Promonocytes count as blasts (WHO 2022)."""
_Z = 1.959964


def summary_by_reader(report: SignedReport) -> SlideSummary:
    """Return what was signed: where a person relabelled cells, the shares are theirs.

    A reader's intervals are Wilson's: they hold the counting error. Cells that nobody named count
    to neither side: their interval goes from none of them to all of them.
    """
    summary = SlideSummary.model_validate(report.result)
    if not report.counted_by_reader:
        return summary
    return recounted(summary, report.cells_by_reader, alone=report.alone)


def recounted(
    summary: SlideSummary, counts: Mapping[str, int], *, alone: bool = False
) -> SlideSummary:
    """Return a summary with a reader's shares in the place of the model's.

    Two readings are compared by it, whether they relabelled or not: a model's intervals hold more
    than the counting error.

    Args:
        summary: The model's.
        counts: Class -> counted cells, as the reader calls them.
        alone: Whether the reader did not know the model's answers: then nothing else of it is
            kept either.
    """
    if alone:
        summary = without_machine(summary)
    named = {label: cells for label, cells in counts.items() if label in CELL_CLASSES and cells > 0}
    leukocytes = {label: cells for label, cells in named.items() if label not in BESIDE}
    unknown = counts.get(NO_CLASS, 0)
    total = sum(leukocytes.values())
    against = THRESHOLDS if alone else _thresholds(summary)
    blasts = _blasts(against, leukocytes, unknown)
    return summary.model_copy(
        update={
            "cells_by_class": dict(counts),
            "differential": tuple(
                _read_share(label, finer, total, unknown)
                for label, finer in _by_line(leukocytes).items()
            ),
            "not_called": (),
            "beside": tuple(
                _beside(label, named[label], total)
                for label in sorted(BESIDE - {"artefact"})
                if label in named and total
            ),
            "blasts": blasts,
            "counting": _counting(summary, total, unknown),
            "flags": (*blast_flags(blasts), *_not_of_blasts(summary)),
        }
    )


def _counting(summary: SlideSummary, named: int, unknown: int) -> Counting | None:
    """Which cells count stays as it was; how many of them have a class is the reader's."""
    if summary.counting is None:
        return None
    return summary.counting.model_copy(update={"named": named, "unclassified": unknown})


def _not_of_blasts(summary: SlideSummary) -> tuple[Flag, ...]:
    return tuple(flag for flag in summary.flags if not flag.code.startswith("blasts-"))


def _by_line(leukocytes: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the lines of the differential, each with the classes that it holds.

    Where some cells are known as `neutrophil` alone, segmented ones and bands belong to that line:
    two lines would let readers take the one for all of them.
    """
    lines: dict[str, dict[str, int]] = {}
    for label, cells in leukocytes.items():
        coarser = COARSER.get(label)
        line = coarser if coarser and coarser in leukocytes else label
        lines.setdefault(line, {})[label] = cells
    return lines


def _read_share(label: str, classes: Mapping[str, int], total: int, unknown: int) -> ReadShare:
    cells = sum(classes.values())
    low, high = _interval(cells, total, unknown)
    finer = {name: number for name, number in classes.items() if name != label}
    return ReadShare(
        label=label, cells=cells, fraction=cells / total, low=low, high=high, of_which=finer
    )


def _beside(label: str, cells: int, total: int) -> BesideShare:
    low, high = wilson(cells, cells + total)
    return BesideShare(
        label=label,
        cells=cells,
        per_100=100 * cells / total,
        low=100 * low / (1 - low) if low < 1 else 0.0,
        high=100 * high / (1 - high) if high < 1 else 100.0 * cells,
    )


def _thresholds(summary: SlideSummary) -> tuple[tuple[str, float], ...]:
    """Return those that the model's blasts were held against; none where it counts no blasts."""
    held = summary.blasts.thresholds if summary.blasts else ()
    return tuple((threshold.name, threshold.fraction) for threshold in held)


def _blasts(
    against: Sequence[tuple[str, float]], leukocytes: Mapping[str, int], unknown: int
) -> BlastShare | None:
    total = sum(leukocytes.values())
    if not against or not total:
        return None
    blasts = sum(cells for label, cells in leukocytes.items() if label in BLASTS)
    low, high = _interval(blasts, total, unknown)
    return BlastShare(
        cells=blasts,
        leukocytes=total,
        unclassified=unknown,
        fraction=blasts / total,
        low=low,
        high=high,
        provisional=total < ENOUGH_CELLS,
        thresholds=tuple(held_against(name, fraction, low, high) for name, fraction in against),
    )


def _interval(cells: int, total: int, unknown: int) -> tuple[float, float]:
    low, _ = wilson(cells, total + unknown)
    _, high = wilson(cells + unknown, total + unknown)
    return low, high


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (JASA 1927;22:209)."""
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    middle = share + _Z**2 / (2 * trials)
    half = _Z * sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    scale = 1 + _Z**2 / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
