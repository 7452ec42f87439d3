"""White cells that people add where the finder missed them: added and taken back, never changed.

They lie on a field and are of no bundle, so that they outlive every one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.orm import aliased

from hemaline_cloud.database.labels import HOLDING, hold_slides
from hemaline_cloud.database.reading.fields import FieldRow
from hemaline_cloud.database.review import count_reported_change
from hemaline_cloud.database.schema import AddedCell, Frame, Slide
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id
from hemaline_shared.pixels.types import Box


class AddedCellRow(NamedTuple):
    """A cell that a person added, or, without a `label`, took back; see `AddedCell`."""

    act_id: UUID
    added_cell_id: UUID
    frame_id: UUID
    slide_id: UUID
    site: str
    reading: int
    left: int
    top: int
    right: int
    bottom: int
    label: str | None
    by: str
    by_name: str
    at: datetime

    @property
    def box(self) -> Box:
        """Where it lies, in pixels of its field."""
        return Box(self.left, self.top, self.right, self.bottom)


_COLUMNS = tuple(getattr(AddedCell, name) for name in AddedCellRow._fields)


def added_cells(connection: Connection, slide_id: UUID) -> list[AddedCellRow]:
    """Return the cells that people have added to a slide and not taken back, the oldest first.

    Of a slide that awaits its second reader, those of whoever reads it alone.
    """
    back = aliased(AddedCell)
    query = (
        select(*_COLUMNS)
        .join(Slide, Slide.slide_id == AddedCell.slide_id)
        .join(Frame, Frame.frame_id == AddedCell.frame_id)
        .outerjoin(back, (back.added_cell_id == AddedCell.added_cell_id) & back.label.is_(None))
        .where(
            AddedCell.slide_id == slide_id,
            AddedCell.label.is_not(None),
            AddedCell.reading == HOLDING,
            Frame.state.in_(("pending", "result")),
            back.act_id.is_(None),
        )
        .order_by(AddedCell.act_id)
    )
    return [AddedCellRow(*row) for row in connection.execute(query)]


def add_cell(
    connection: Connection, who: Principal, field: FieldRow, box: Box, label: str
) -> AddedCellRow:
    """Add a cell to a field.

    Args:
        connection: In a transaction.
        who: The person.
        field: Where it lies.
        box: It lies within the field.
        label: What they call it.

    Raises:
        NotTheReaderError: The slide awaits its second reader, and `who` is another.
    """
    site, reading = _hold(connection, who, field.slide_id)
    row = AddedCellRow(
        act_id=new_id(),
        added_cell_id=new_id(),
        frame_id=field.frame_id,
        slide_id=field.slide_id,
        site=site,
        reading=reading,
        left=box.left,
        top=box.top,
        right=box.right,
        bottom=box.bottom,
        label=label,
        by=who.id,
        by_name=who.name,
        at=_now(connection),
    )
    return _append(connection, row)


def take_back_cell(connection: Connection, who: Principal, row: AddedCellRow) -> AddedCellRow:
    """Take an added cell back.

    Raises:
        NotTheReaderError: The slide awaits its second reader, and `who` is another.
        PermanentError: `taken-back`; somebody did so meanwhile.
    """
    _, reading = _hold(connection, who, row.slide_id)
    there = {one.added_cell_id for one in added_cells(connection, row.slide_id)}
    if row.added_cell_id not in there or reading != row.reading:
        raise PermanentError("taken-back", "Somebody has taken this cell back already.")
    back = row._replace(
        act_id=new_id(), label=None, by=who.id, by_name=who.name, at=_now(connection)
    )
    return _append(connection, back)


def _hold(connection: Connection, who: Principal, slide_id: UUID) -> tuple[str, int]:
    """Hold the slide to the transaction's end; return its site and the reading that goes on."""
    reading = hold_slides(connection, who, [slide_id])[slide_id]
    site = connection.scalar(select(Slide.site).where(Slide.slide_id == slide_id))
    assert site, "the caller has found the slide"
    return site, reading


def _now(connection: Connection) -> datetime:
    now: datetime | None = connection.scalar(select(func.now()))
    assert now
    return now


def _append(connection: Connection, row: AddedCellRow) -> AddedCellRow:
    connection.execute(insert(AddedCell), row._asdict())
    count_reported_change(connection, row.slide_id)
    return row


def find_added(rows: Sequence[AddedCellRow], added_cell_id: UUID) -> AddedCellRow | None:
    """Return one of the rows, or None."""
    return next((row for row in rows if row.added_cell_id == added_cell_id), None)
