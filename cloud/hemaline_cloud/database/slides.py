"""Slides: opened by whatever is first heard of them, closed by their device's word."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from hemaline_cloud.database.bulk import rows_of
from hemaline_cloud.database.schema import Frame, Slide, SlideResult

_COUNTED = (
    ("pending", "pending"),
    ("with_result", "result"),
    ("rejected", "rejected"),
    ("quarantined", "quarantined"),
)


class SlideRow(NamedTuple):
    """Who made a slide, of which specimen, and how many frames it has (None: still open)."""

    slide_id: UUID
    specimen_id: UUID
    site: str
    device: str
    frames_expected: int | None = None


def find_slides(connection: Connection, slide_ids: Iterable[UUID]) -> dict[UUID, SlideRow]:
    """Return those of the slides that are known."""
    wanted = select(*(getattr(Slide, name) for name in SlideRow._fields))
    rows = connection.execute(wanted.where(Slide.slide_id.in_(set(slide_ids))))
    return {row.slide_id: SlideRow(*row) for row in rows}


def open_slides(connection: Connection, slides: Sequence[tuple[SlideRow, datetime]]) -> None:
    """Make slides known, each with a moment of it; the earliest moment is when it was opened.

    A slide that another device or specimen has keeps what it has: compare with `find_slides`.
    """
    earliest: dict[UUID, tuple[SlideRow, datetime]] = {}
    for row, at in slides:
        known = earliest.get(row.slide_id)
        if known is None or at < known[1]:
            earliest[row.slide_id] = (row, at)
    # Sorted, so that two transactions take row locks in one order.
    rows = [
        {**row._asdict(), "frames_expected": None, "opened_at": at}
        for _, (row, at) in sorted(earliest.items())
    ]
    if not rows:
        return
    new = rows_of(Slide, tuple(rows[0]))
    same_maker = and_(Slide.site == new.excluded.site, Slide.device == new.excluded.device)
    earlier = new.on_conflict_do_update(
        index_elements=[Slide.slide_id],
        set_={"opened_at": new.excluded.opened_at},
        where=and_(same_maker, new.excluded.opened_at < Slide.opened_at),
    )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    connection.execute(earlier, columns)


def close_slide(connection: Connection, slide_id: UUID, frames_expected: int) -> None:
    """Record how many frames a slide has, once and for all."""
    connection.execute(
        update(Slide)
        .where(Slide.slide_id == slide_id, Slide.frames_expected.is_(None))
        .values(frames_expected=frames_expected)
    )


def miscounted_slides(connection: Connection, slide_ids: Sequence[UUID] = ()) -> list[UUID]:
    """Return the slides whose counts are not those of their frames and their result.

    Args:
        connection: In a transaction.
        slide_ids: Look at these alone; empty: at all, which reads the whole ledger.
    """
    counted = (
        select(Frame.slide_id, *(_number_of(state).label(name) for name, state in _COUNTED))
        .group_by(Frame.slide_id)
        .subquery()
    )
    cells = func.coalesce(SlideResult.content["cells"].as_integer(), 0)
    urgency = func.coalesce(SlideResult.content["urgency"].as_integer(), 0)
    wrong = or_(
        *(getattr(Slide, name) != func.coalesce(counted.c[name], 0) for name, _ in _COUNTED),
        Slide.captured != Slide.pending + Slide.with_result + Slide.rejected + Slide.quarantined,
        Slide.cells != cells,
        Slide.urgency < urgency,
    )
    query = (
        select(Slide.slide_id)
        .outerjoin(counted, counted.c.slide_id == Slide.slide_id)
        .outerjoin(SlideResult, SlideResult.slide_id == Slide.slide_id)
        .where(wrong)
    )
    if slide_ids:
        query = query.where(Slide.slide_id.in_(slide_ids))
    return list(connection.scalars(query.order_by(Slide.slide_id)))


def recount_slides(connection: Connection, slide_ids: Sequence[UUID]) -> None:
    """Count slides anew, for when a restored backup or a hand in the database has miscounted."""
    connection.execute(select(func.recount_slides(list(slide_ids))))


def _number_of(state: str) -> ColumnElement[int]:
    return func.count().filter(Frame.state == state)
