"""What a site asks of its readers before signing, as versioned data. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from hemaline_cloud.cell_classes import CellClass
from hemaline_shared.barcodes import CheckDigit

CalledClass = CellClass | Annotated[str, Field(pattern=r"^unclassified$")]


class SecondReaderRule(BaseModel):
    """When a second person must read a slide. Each part can be switched off.

    Attributes:
        blasts: Whenever the reader counts a blast.
        undecided: Whenever the interval of the blasts' share holds a threshold.
        flags: Whenever the result bears a flag of one of these codes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    blasts: bool = True
    undecided: bool = True
    flags: tuple[str, ...] = ("apl-suspected",)


class ReviewPolicy(BaseModel):
    """Which cells and fields a reader must see. No role and no setting skips it.

    Attributes:
        classes: Every cell that the model or a person calls so.
        doubt_below: Every cell whose probability is less; every cell without one.
        disagreeing: Every cell about which the networks name different classes.
        others: So many more cells, drawn by lot.
        fields: So many fields at full resolution.
        second_reader: When a second person must read it. None: never, for many laboratories have
            one reader.
        check_digit: How the barcodes of the site's orders end; a code that does not is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    classes: tuple[CalledClass, ...] = (
        "blast",
        "promonocyte",
        "promyelocyte",
        "myelocyte",
        "metamyelocyte",
        "immature-granulocyte",
        "lymphocyte-variant",
        "unclassified",
    )
    doubt_below: float = Field(default=0.7, ge=0, le=1)
    disagreeing: bool = True
    others: int = Field(default=10, ge=0, le=1000)
    fields: int = Field(default=1, ge=0, le=100)
    second_reader: SecondReaderRule | None = None
    check_digit: CheckDigit = "none"


DEFAULT_POLICY = ReviewPolicy()
"""Version 0: holds for a site that has none of its own."""


@dataclass(frozen=True, slots=True)
class JudgedCell:
    """What is known of a cell that may have to be seen.

    Attributes:
        called: What the model and people call it.
        probability: None: the model gives none.
        disagreeing: Whether the networks name different classes.
    """

    cell_id: UUID
    called: frozenset[str]
    probability: float | None
    disagreeing: bool


def cells_to_see(policy: ReviewPolicy, cells: Sequence[JudgedCell], lot: str) -> dict[UUID, str]:
    """Return the cells that must be seen, each with the reason.

    Args:
        policy: Of the site.
        cells: All of the slide.
        lot: Decides which others are drawn; the same words draw the same cells.

    Returns:
        Cell id -> `class`, `doubt`, `disagreement` or `lot`, in the order of `cells`.
    """
    reasons = {cell.cell_id: _reason(policy, cell) for cell in cells}
    rest = [cell_id for cell_id, reason in reasons.items() if reason is None]
    drawn = set(_draw(rest, policy.others, lot))
    told = {
        cell_id: reason or ("lot" if cell_id in drawn else None)
        for cell_id, reason in reasons.items()
    }
    return {cell_id: reason for cell_id, reason in told.items() if reason}


def _reason(policy: ReviewPolicy, cell: JudgedCell) -> str | None:
    if cell.called & set(policy.classes):
        return "class"
    if cell.probability is None or cell.probability < policy.doubt_below:
        return "doubt"
    if policy.disagreeing and cell.disagreeing:
        return "disagreement"
    return None


def _draw(cell_ids: Iterable[UUID], number: int, lot: str) -> list[UUID]:
    """Draw by hash: nobody can choose, and everybody can check."""

    def place(cell_id: UUID) -> bytes:
        return hashlib.sha256(f"{lot} {cell_id}".encode()).digest()

    return sorted(cell_ids, key=place)[:number]
