"""Slides: opened by whatever is first heard of them, closed by their device's word."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from hemaline_cloud.database.bulk import rows_of
from hemaline_cloud.database.schema import Frame, ResultRevision, Slide

_COUNTED = (
    ("pending", "pending"),
    ("with_result", "result"),
    ("rejected", "rejected"),
    ("quarantined", "quarantined"),
)


class SlideRow(NamedTuple):
    """Who made a slide, of which specimen, and what the laboratory says of it."""

    slide_id: UUID
    specimen_id: UUID
    site: str
    device: str
    slide_name: str | None = None
    priority: str = "routine"

    def has_owner_of(self, other: "SlideRow") -> bool:
        """Whether both are of one specimen and one device."""
        return (self.specimen_id, self.site, self.device) == (
            other.specimen_id,
            other.site,
            other.device,
        )

    def tells(self, other: "SlideRow") -> bool:
        """Whether all that another row says of the slide is said here."""
        return (
            self.has_owner_of(other)
            and other.slide_name in {None, self.slide_name}
            and other.priority in {"routine", self.priority}
        )


def find_slides(
    connection: Connection, slide_ids: Iterable[UUID]
) -> dict[UUID, tuple[SlideRow, datetime]]:
    """Return those of the slides that are known, and since when each is open."""
    wanted = select(*(getattr(Slide, name) for name in SlideRow._fields), Slide.opened_at)
    rows = connection.execute(wanted.where(Slide.slide_id.in_(set(slide_ids))))
    return {row.slide_id: (SlideRow(*row[:-1]), row.opened_at) for row in rows}


def open_slides(connection: Connection, slides: Sequence[tuple[SlideRow, datetime]]) -> None:
    """Make slides known, each with a moment of it; the earliest moment is when it was opened.

    The laboratory's newest name of a slide counts, and its priority rises and never falls. A slide
    that another device or specimen has keeps what it has: compare with `find_slides`.
    """
    # Sorted, so that two transactions take row locks in one order.
    rows = [{**row._asdict(), "opened_at": at} for _, (row, at) in sorted(_merged(slides).items())]
    if not rows:
        return
    new = rows_of(Slide, tuple(rows[0]))
    said = new.excluded
    same_owner = and_(
        Slide.specimen_id == said.specimen_id,
        Slide.site == said.site,
        Slide.device == said.device,
    )
    tells_more = or_(
        said.opened_at < Slide.opened_at,
        said.slide_name != func.coalesce(Slide.slide_name, ""),
        and_(said.priority == "stat", Slide.priority != "stat"),
    )
    merged = new.on_conflict_do_update(
        index_elements=[Slide.slide_id],
        set_={
            "opened_at": func.least(Slide.opened_at, said.opened_at),
            "slide_name": func.coalesce(said.slide_name, Slide.slide_name),
            "priority": func.greatest(Slide.priority, said.priority),
        },
        where=and_(same_owner, tells_more),
    )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    connection.execute(merged, columns)


def _merged(
    slides: Sequence[tuple[SlideRow, datetime]],
) -> dict[UUID, tuple[SlideRow, datetime]]:
    """Return one row a slide: a statement may touch none twice."""
    merged: dict[UUID, tuple[SlideRow, datetime]] = {}
    for row, at in slides:
        known, earliest = merged.get(row.slide_id, (row, at))
        if known.has_owner_of(row):
            known = known._replace(
                slide_name=row.slide_name or known.slide_name,
                priority=max(known.priority, row.priority),
            )
            earliest = min(earliest, at)
        merged[row.slide_id] = (known, earliest)
    return merged


def close_slide(connection: Connection, slide_id: UUID, frames_expected: int) -> int | None:
    """Record how many frames a slide has, once and for all; return what was recorded before."""
    before = connection.scalar(
        select(Slide.frames_expected).where(Slide.slide_id == slide_id).with_for_update()
    )
    if before is None:
        connection.execute(
            update(Slide).where(Slide.slide_id == slide_id).values(frames_expected=frames_expected)
        )
    return before


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
    cells = func.coalesce(ResultRevision.content["cells"].as_integer(), 0)
    urgency = func.coalesce(ResultRevision.content["urgency"].as_integer(), 0)
    wrong = or_(
        *(getattr(Slide, name) != func.coalesce(counted.c[name], 0) for name, _ in _COUNTED),
        Slide.captured != Slide.pending + Slide.with_result + Slide.rejected + Slide.quarantined,
        Slide.cells != cells,
        Slide.urgency < urgency,
    )
    query = (
        select(Slide.slide_id)
        .outerjoin(counted, counted.c.slide_id == Slide.slide_id)
        .outerjoin(
            ResultRevision,
            and_(
                ResultRevision.slide_id == Slide.slide_id,
                ResultRevision.revision == Slide.revision,
            ),
        )
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
