"""Which cells count.

That a border cuts one is known at once. That one was seen before is written by the worker that
settles its field, under the lock of its slide.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Subquery,
    Uuid,
    bindparam,
    case,
    column,
    func,
    or_,
    select,
    update,
)

from hemaline_cloud.database.bulk import insert_rows
from hemaline_cloud.database.schema import Cell, FieldLook, FieldOfView, Frame
from hemaline_shared.pixels.types import Box

CUT, SEEN = "cut-by-border", "seen-before"
"""Why a cell does not count."""


@dataclass(frozen=True, slots=True)
class WholeCell:
    """A cell that no border cuts, with its place in its field."""

    cell_id: UUID
    index: int
    box: Box


@dataclass(frozen=True, slots=True)
class LookedAtField:
    """A settled field: what it looks like, and its whole cells in the finder's order."""

    frame_id: UUID
    sequence: int
    size: tuple[int, int]
    look: bytes
    cells: Sequence[WholeCell]


def store_looks(connection: Connection, looks: Mapping[UUID, bytes]) -> None:
    """Keep what fields look like, until their slide can get no other field."""
    rows = [{"frame_id": frame_id, "look": look} for frame_id, look in looks.items()]
    insert_rows(connection, FieldLook, rows)


def looked_at(connection: Connection, slide_id: UUID) -> list[UUID]:
    """Return the settled fields of a slide whose look is kept."""
    query = (
        select(Frame.frame_id)
        .join(FieldLook, FieldLook.frame_id == Frame.frame_id)
        .where(Frame.slide_id == slide_id, Frame.state == "result")
    )
    return list(connection.scalars(query.order_by(Frame.sequence, Frame.frame_id)))


def load_fields(connection: Connection, frame_ids: Collection[UUID]) -> list[LookedAtField]:
    """Return some settled fields whose look is kept."""
    if not frame_ids:
        return []
    boxes = select(Cell.frame_id, Cell.cell_id, Cell.index, *_BOX)
    whole = or_(Cell.excluded.is_(None), Cell.excluded != CUT)
    cells: dict[UUID, list[WholeCell]] = {}
    for frame_id, cell_id, index, *box in connection.execute(
        boxes.where(Cell.frame_id.in_(frame_ids), whole).order_by(Cell.frame_id, Cell.index)
    ):
        cells.setdefault(frame_id, []).append(WholeCell(cell_id, index, Box(*box)))
    fields = (
        select(
            Frame.frame_id, Frame.sequence, FieldOfView.width, FieldOfView.height, FieldLook.look
        )
        .join(FieldOfView, FieldOfView.frame_id == Frame.frame_id)
        .join(FieldLook, FieldLook.frame_id == Frame.frame_id)
    )
    return [
        LookedAtField(frame_id, sequence, (width, height), look, cells.get(frame_id, ()))
        for frame_id, sequence, width, height, look in connection.execute(
            fields.where(Frame.frame_id.in_(frame_ids))
        )
    ]


def copies(connection: Connection, slide_id: UUID) -> dict[UUID, UUID]:
    """Return cell -> the one that counts for it, of the slide's cells that have copies."""
    query = select(Cell.cell_id, Cell.same_as).join(Frame, Frame.frame_id == Cell.frame_id)
    rows = connection.execute(query.where(Frame.slide_id == slide_id, Cell.same_as.is_not(None)))
    return {cell_id: counts for cell_id, counts in rows if counts}


def mark_copies(connection: Connection, counting: Mapping[UUID, UUID]) -> None:
    """Write cell -> the one that counts for it; only that one counts."""
    if not counting:
        return
    pairs = _pairs("cell_id", "same_as")
    connection.execute(
        update(Cell)
        .where(Cell.cell_id == pairs.c.cell_id)
        .values(
            same_as=pairs.c.same_as,
            excluded=case((pairs.c.same_as == pairs.c.cell_id, None), else_=SEEN),
        ),
        {"all_cell_id": list(counting), "all_same_as": list(counting.values())},
    )


_BOX = (Cell.left, Cell.top, Cell.right, Cell.bottom)


def _pairs(*names: str) -> Subquery:
    """Return rows of ids out of arrays, one parameter for each column."""
    # Plain column names are taken: `update` binds its own values by them.
    arrays = [bindparam(f"all_{name}", type_=ARRAY(Uuid())) for name in names]
    columns = [column(name, Uuid()) for name in names]
    return select(func.unnest(*arrays).table_valued(*columns).render_derived()).subquery()
