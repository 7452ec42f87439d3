"""When a second person must read a slide, and how far two readings agree. Pure."""

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias
from uuid import UUID

from hemaline_cloud.database.summary import BlastShare, SlideSummary
from hemaline_cloud.review.policy import SecondReaderRule
from hemaline_cloud.review.reader_counts import BLASTS
from hemaline_cloud.review.report import NO_CLASS, Agreement

ReadCells: TypeAlias = Mapping[UUID, str | None]
"""Counted cell -> its class by one reader: their label, else the model's. None: it has none."""

SecondReaderReason: TypeAlias = Literal["blasts", "undecided", "flag"]


def why_second_reader(
    rule: SecondReaderRule | None, counted: SlideSummary
) -> tuple[SecondReaderReason, ...]:
    """Return why a second person must read a slide; empty: nobody must.

    Args:
        rule: Of the site; None: it has one reader.
        counted: As the first reader counted it.
    """
    if rule is None:
        return ()
    blasts = counted.blasts
    held: dict[SecondReaderReason, bool] = {
        "blasts": rule.blasts and blasts is not None and blasts.cells > 0,
        "undecided": rule.undecided and "undecided" in _verdicts(blasts).values(),
        "flag": any(flag.code in rule.flags for flag in counted.flags),
    }
    return tuple(reason for reason, holds in held.items() if holds)


def agreement(
    first: ReadCells,
    second: ReadCells,
    blasts: tuple[BlastShare | None, BlastShare | None],
    *,
    same_revision: bool,
) -> Agreement:
    """Compare two readings of a slide, on the cells that are in both.

    Args:
        first: By the first reader.
        second: By the second.
        blasts: The blasts' share as each of them counted it.
        same_revision: Whether both read the same revision of the result.
    """
    cells = sorted(first.keys() & second.keys())
    said = [(first[cell] or NO_CLASS, second[cell] or NO_CLASS) for cell in cells]
    one, other = map(_verdicts, blasts)
    pairs = list(zip(cells, said, strict=True))
    return Agreement(
        kappa={
            label: cohens_kappa([(a == label, b == label) for a, b in said])
            for label in sorted({label for both in said for label in both})
        },
        cells_differing=tuple(cell for cell, (a, b) in pairs if a != b),
        blasts_differing=tuple(cell for cell, (a, b) in pairs if (a in BLASTS) != (b in BLASTS)),
        thresholds_differing=tuple(
            name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)
        ),
        same_revision=same_revision,
    )


def cohens_kappa(answers: Collection[tuple[bool, bool]]) -> float | None:
    """Return Cohen's kappa of a yes-or-no question (Educ Psychol Meas 1960;20:37).

    Args:
        answers: For each thing that was asked about, what the one and the other said.

    Returns:
        At most 1; None where both always give the same single answer, or none.
    """
    total = len(answers)
    first = sum(one for one, _ in answers)
    second = sum(other for _, other in answers)
    # In whole numbers, so that "by chance alone" is told exactly.
    by_chance = first * second + (total - first) * (total - second)
    if by_chance == total**2:
        return None
    observed = total * sum(one == other for one, other in answers)
    return (observed - by_chance) / (total**2 - by_chance)


def _verdicts(blasts: BlastShare | None) -> dict[str, str]:
    return {held.name: held.verdict for held in blasts.thresholds} if blasts else {}
