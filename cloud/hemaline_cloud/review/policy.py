"""What a site asks of its readers before signing, as versioned data. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hemaline_cloud.cell_classes import CellClass
from hemaline_cloud.patterns.rules import LONGEST
from hemaline_shared.barcodes import CheckDigit

ReadingOrder: TypeAlias = Literal["at-once", "after-own", "by-lot"]
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


class MachineRule(BaseModel):
    """When a reader is shown the machine's answers about a slide: labels, shares, flags, order.

    Attributes:
        order: `at-once`; `after-own`: once the reader has named `after_cells` of its cells, or all
            where it has fewer; `by-lot`: not before it is signed where the lot draws the slide,
            else at once.
        after_cells: A differential counts a hundred.
        hidden_share: Of the slides, how many the lot draws.
        seed: With the slide's id it is the lot, so that anybody can draw again.
        hidden_from_second: Whether a second reader is shown nothing of it before they have
            finished, whatever the order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    order: ReadingOrder = "at-once"
    after_cells: int = Field(default=100, ge=1, le=1000)
    hidden_share: float = Field(default=0.5, ge=0, le=1)
    seed: str = Field(default="", max_length=100, pattern=r"^[^\x00]*$")
    hidden_from_second: bool = False

    @model_validator(mode="after")
    def _has_a_seed(self) -> Self:
        if self.order == "by-lot" and not self.seed:
            raise ValueError("a lot needs a seed: any words of your own")
        return self


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
        machine: When a reader is shown the machine's answers.
        check_digit: How the barcodes of the site's orders end; a code that does not is refused.
        pattern_rules: Of the site's own, as TOML (`docs/patterns.md`). None: the shipped ones.
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
    machine: MachineRule = MachineRule()
    check_digit: CheckDigit = "none"
    pattern_rules: str | None = Field(default=None, max_length=LONGEST)


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


def is_drawn(seed: str, slide_id: UUID, share: float) -> bool:
    """Whether the lot draws a slide, for it to be read without the machine.

    PostgreSQL asks the same (migration 0070). The first 32 bits of a SHA-256 are held against the
    share.
    """
    digest = hashlib.sha256(f"{seed} {slide_id}".encode()).digest()
    return int.from_bytes(digest[:4]) < share * 2**32


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
