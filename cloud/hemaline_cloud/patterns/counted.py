"""What a count says of a share of cells: an interval, never a number alone. Pure.

A count does not always tell what a rule asks for: a model that knows `immature-granulocyte` alone
cannot say how many of them are myelocytes. Such cells may all be, or none of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hemaline_cloud.cell_classes import CELL_CLASSES, COARSER, MODEL_CALLS
from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.patterns.result import Source
from hemaline_cloud.review.reader_counts import BESIDE, BLASTS, wilson
from hemaline_cloud.review.report import NO_CLASS


class Interval(NamedTuple):
    """95 %, of a share of one; of cells that stand beside the leukocytes it may be more."""

    low: float
    high: float


class Counted(Protocol):
    """One count of a slide's cells."""

    @property
    def source(self) -> Source:
        """Whose it is."""

    @property
    def cells(self) -> int:
        """How many leukocytes have a class."""

    @property
    def named_by_people(self) -> int | None:
        """Of a reader's count: how many cells people named."""

    @property
    def flags(self) -> frozenset[str]:
        """What the model's result bears; empty of a reader's count."""

    def share(self, classes: frozenset[str], of: frozenset[str]) -> Interval | None:
        """Return the share of some classes; `of` is empty for all leukocytes. None: not known."""


@dataclass(frozen=True, slots=True)
class ModelCount:
    """The model's: its intervals hold the counting error and its own.

    Shares are added end by end, which makes the interval of a sum too wide and never too narrow.

    Attributes:
        shares: Class -> its share of the leukocytes; beside them: for each leukocyte.
    """

    cells: int
    shares: Mapping[str, Interval]
    blasts: Interval | None
    flags: frozenset[str]
    source: Source = "model"
    named_by_people: int | None = None

    def share(self, classes: frozenset[str], of: frozenset[str]) -> Interval | None:
        """See `Counted`."""
        inside = self._sum(classes)
        if not of or inside is None:
            return inside
        others = self._sum(of - classes)
        if others is None:
            return None
        return Interval(
            _part(inside.low, others.high, nothing=0.0), _part(inside.high, others.low, nothing=1.0)
        )

    def _sum(self, classes: frozenset[str]) -> Interval | None:
        if classes == BLASTS and self.blasts:
            return self.blasts
        told = {label: self.shares[label] for label in classes if label in self.shares}
        hiding = set()
        for label in classes - told.keys():
            called = MODEL_CALLS.get(label)
            if called in self.shares:
                hiding.add(called)
            elif not any(COARSER.get(finer) == label for finer in told):
                return None
        low = sum(share.low for share in told.values())
        high = sum(share.high for share in told.values())
        high += sum(self.shares[label].high for label in hiding - classes if label)
        beside = classes & BESIDE
        return Interval(low, high) if beside else Interval(min(low, 1.0), min(high, 1.0))


@dataclass(frozen=True, slots=True)
class ReadCount:
    """A reader's: Wilson's intervals; what has no class counts to neither side.

    Attributes:
        counts: Class -> counted cells, as the reader calls them.
    """

    counts: Mapping[str, int]
    named_by_people: int | None
    source: Source = "read"
    flags: frozenset[str] = frozenset()

    @property
    def cells(self) -> int:
        """How many leukocytes have a class."""
        return sum(self.counts.get(label, 0) for label in CELL_CLASSES if label not in BESIDE)

    def share(self, classes: frozenset[str], of: frozenset[str]) -> Interval | None:
        """See `Counted`."""
        whole = of or frozenset(CELL_CLASSES) - BESIDE
        inside = self._cells(classes)
        coarser = {COARSER[label] for label in classes if label in COARSER} - classes
        unsure = self._cells(frozenset(coarser)) + self.counts.get(NO_CLASS, 0)
        total = self._cells(whole | coarser) + self.counts.get(NO_CLASS, 0)
        low, _ = wilson(inside, total)
        _, high = wilson(inside + unsure, total)
        return Interval(low, high)

    def _cells(self, classes: frozenset[str]) -> int:
        return sum(self.counts.get(label, 0) for label in classes)


def counted_by_model(summary: SlideSummary) -> ModelCount | None:
    """Return the model's count; None where it called no cell anything."""
    if not summary.differential or not summary.counting:
        return None
    told = (*summary.differential, *summary.not_called)
    beside = {share.label: Interval(share.low / 100, share.high / 100) for share in summary.beside}
    blasts = summary.blasts
    return ModelCount(
        cells=summary.counting.named,
        shares={share.label: Interval(share.low, share.high) for share in told} | beside,
        blasts=Interval(blasts.low, blasts.high) if blasts else None,
        flags=frozenset(flag.code for flag in summary.flags),
    )


def _part(part: float, others: float, *, nothing: float) -> float:
    whole = part + others
    return part / whole if whole else nothing
