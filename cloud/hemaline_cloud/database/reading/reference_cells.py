"""Reference cells: what people of a site called cells of slides that somebody signed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, Connection, bindparam, exists, func, select
from sqlalchemy.orm import aliased

from hemaline_cloud.database.schema import Cell, CellLabel, Signature, Slide
from hemaline_cloud.review.states import ReviewState

_SIGNED = (ReviewState.SIGNED.value, ReviewState.AMENDED.value)
# Written into the statement: the planner must see which partial index serves.
_FIRST_READING: BindParameter[int] = bindparam(None, 1, literal_execute=True)


class ReferenceCell(NamedTuple):
    """A cell that a person named, on a slide that was signed after it.

    Nothing of it is the machine's, and nothing says whose blood it is.
    """

    label_id: UUID
    """Ordered by time: the newest comes first, and the next page begins after it."""
    cell_id: UUID
    slide_id: UUID
    """For the audit: it is shown to nobody."""
    label: str
    by_name: str
    at: datetime


_LATER = aliased(CellLabel)
_CHANGED = exists().where(
    _LATER.cell_id == CellLabel.cell_id,
    _LATER.reading == _FIRST_READING,
    _LATER.version > CellLabel.version,
)
_SIGNED_AFTER = exists().where(
    Signature.slide_id == CellLabel.slide_id, Signature.signed_at >= CellLabel.at
)
_REFERENCES = (
    select(*(getattr(CellLabel, name) for name in ReferenceCell._fields))
    .join(Slide, Slide.slide_id == CellLabel.slide_id)
    .join(Cell, Cell.cell_id == CellLabel.cell_id)
    .where(
        CellLabel.reading == _FIRST_READING,
        Slide.review.in_(_SIGNED),
        Cell.excluded.is_(None),
        _SIGNED_AFTER,
        ~_CHANGED,
    )
)


def reference_cells(
    connection: Connection, site: str, label: str, *, limit: int, after: UUID | None = None
) -> list[ReferenceCell]:
    """Return cells of a class that people of a site have named and signed, the newest first.

    A name that was changed after the signature is left out: it is in dispute.

    Args:
        connection: In a transaction.
        site: Whose.
        label: A class of `hemaline_cloud.cell_classes`.
        limit: At most so many.
        after: The `label_id` of the last one before.
    """
    query = _REFERENCES.where(CellLabel.site == site, CellLabel.label == label)
    if after:
        query = query.where(CellLabel.label_id < after)
    query = query.order_by(CellLabel.label_id.desc()).limit(limit)
    return [ReferenceCell(*row) for row in connection.execute(query)]


def count_references(
    connection: Connection, site: str, labels: Sequence[str], most: int
) -> Mapping[str, int]:
    """Return how many reference cells a site has of each class, up to `most`."""
    counts = {}
    for label in labels:
        few = _REFERENCES.where(CellLabel.site == site, CellLabel.label == label).limit(most)
        counts[label] = connection.scalar(select(func.count()).select_from(few.subquery())) or 0
    return counts
