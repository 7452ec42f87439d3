"""What a signature freezes: the report as it was signed. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

RESEARCH_USE_ONLY = "For Research Use Only. Not for use in diagnostic procedures."
NO_CLASS = "unclassified"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class SignedLabel(_Frozen):
    """What a person calls a cell, at the moment of signing."""

    cell_id: UUID
    label: str
    by: str
    by_name: str


class SignedReport(_Frozen):
    """All that a person stands behind. Written once, byte for byte; never changed.

    Attributes:
        result: The revision's `SlideSummary`: what the model counted, with its intervals.
        cells_by_model: Class -> counted cells, as the model calls them.
        cells_by_reader: The same where people's labels outrank the model's.
        labels: Every label of a person, by cell.
        cells_to_see: How many cells the policy asked for, by reason; all were seen.
        amends: The signature that this one takes the place of, and why.
    """

    format: Literal[1] = 1
    notice: str = RESEARCH_USE_ONLY
    signature_id: UUID
    slide_id: UUID
    accession: str
    specimen_id: UUID
    slide_name: str | None
    site: str
    device: str
    simulated: bool
    revision: int
    computed_at: datetime
    bundle_id: str
    bundle_sha256: str
    trained: bool
    result: dict[str, Any]
    cells_by_model: dict[str, int]
    cells_by_reader: dict[str, int]
    labels: tuple[SignedLabel, ...]
    policy_version: int
    cells_to_see: dict[str, int]
    signed_by: str
    signed_by_name: str
    signed_at: datetime
    amends: UUID | None = None
    reason: str | None = None


def count_by_class(labels: Iterable[str | None]) -> dict[str, int]:
    """Count cells by class; what has none is `unclassified`."""
    counts: dict[str, int] = {}
    for label in labels:
        counts[label or NO_CLASS] = counts.get(label or NO_CLASS, 0) + 1
    return dict(sorted(counts.items()))
