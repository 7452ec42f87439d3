"""Slides: opened by whatever is first heard of them, closed by their device's word."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, and_, select, update

from hemaline_cloud.database.bulk import rows_of
from hemaline_cloud.database.schema import Slide


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
