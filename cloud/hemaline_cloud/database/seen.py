"""Which cells and fields a reader has seen at one revision of a slide's result."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, literal, select
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.schema import Cell, Frame, SeenCell, SeenField, Slide
from hemaline_cloud.principal import Principal


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader has seen."""

    cells: frozenset[UUID]
    fields: frozenset[UUID]


def add_seen(
    connection: Connection,
    who: Principal,
    slide_id: UUID,
    revision: int,
    *,
    cells: Sequence[UUID],
    fields: Sequence[UUID],
) -> None:
    """Keep that a reader has seen these; what is not of the slide is left out."""
    about = (Slide.slide_id, Slide.site, literal(who.id), literal(revision))
    of_cells = (
        select(*about, Cell.cell_id)
        .join(Frame, Frame.slide_id == Slide.slide_id)
        .join(Cell, Cell.frame_id == Frame.frame_id)
        .where(Slide.slide_id == slide_id, Cell.cell_id.in_(cells))
    )
    of_fields = (
        select(*about, Frame.frame_id)
        .join(Frame, Frame.slide_id == Slide.slide_id)
        .where(Slide.slide_id == slide_id, Frame.frame_id.in_(fields))
    )
    for table, one, rows in ((SeenCell, "cell_id", of_cells), (SeenField, "frame_id", of_fields)):
        columns = ["slide_id", "site", "reader", "revision", one]
        connection.execute(insert(table).from_select(columns, rows).on_conflict_do_nothing())


def seen_by(connection: Connection, who: Principal, slide_id: UUID, revision: int) -> Seen:
    """Return what a reader has seen at this revision."""
    cells = select(SeenCell.cell_id).where(
        SeenCell.slide_id == slide_id, SeenCell.reader == who.id, SeenCell.revision == revision
    )
    fields = select(SeenField.frame_id).where(
        SeenField.slide_id == slide_id, SeenField.reader == who.id, SeenField.revision == revision
    )
    return Seen(frozenset(connection.scalars(cells)), frozenset(connection.scalars(fields)))
