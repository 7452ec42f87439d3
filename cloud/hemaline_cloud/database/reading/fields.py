"""Fields of view: what was stored of an accepted frame, in the order of capture."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    func,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute

from hemaline_cloud.database.answers import Answers
from hemaline_cloud.database.bundles import layouts_of
from hemaline_cloud.database.schema import Cell, FieldOfView, FieldPrediction, Frame

USABLE = Frame.state.in_(("pending", "result"))
"""Not the fields that a worker had to quarantine: they are no part of any result."""


class FieldKey(NamedTuple):
    """A field's place in its slide."""

    sequence: int
    frame_id: UUID


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where a field's packed images lie, and what they must hash to."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: its frame, how its pixels were made, and how many cells it holds."""

    frame_id: UUID
    slide_id: UUID
    sequence: int
    captured_at: datetime
    state: str
    source: str
    edge_version: str
    quality: dict[str, Any]
    width: int
    height: int
    um_per_px: float
    scale_source: str
    pixel_pipeline: str
    finder: str
    cells: int
    images: StoredObject

    @property
    def key(self) -> FieldKey:
        """Where the next page starts after this field."""
        return FieldKey(self.sequence, self.frame_id)


@dataclass(frozen=True, slots=True)
class StripEntry:
    """One field of the strip below the viewer; `position` counts from 1 to `total`."""

    frame_id: UUID
    sequence: int
    cells: int
    position: int
    total: int


def field_answers(connection: Connection, frame_id: UUID) -> Answers | None:
    """Return what the bundle whose answers count said of a whole field; None: it was not asked."""
    query = (
        select(FieldPrediction.bundle, FieldPrediction.probabilities)
        .join(
            Frame,
            and_(
                Frame.frame_id == FieldPrediction.frame_id,
                Frame.judged_by == FieldPrediction.bundle,
            ),
        )
        .where(FieldPrediction.frame_id == frame_id)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return layouts_of(connection, [row.bundle], "field")[row.bundle].unpack(row.probabilities)


def list_fields(
    connection: Connection, slide_id: UUID, *, limit: int, after: FieldKey | None = None
) -> list[FieldRow]:
    """Return at most `limit` fields of a slide that follow `after`, in the order of capture."""
    query = _fields().where(Frame.slide_id == slide_id, USABLE)
    if after:
        query = query.where(tuple_(Frame.sequence, Frame.frame_id) > after)
    query = query.order_by(Frame.sequence, Frame.frame_id).limit(limit)
    return [_field(row) for row in connection.execute(query)]


def get_field(connection: Connection, frame_id: UUID) -> FieldRow | None:
    """Return one field, or None: a rejected or quarantined frame has none."""
    row = connection.execute(_fields().where(Frame.frame_id == frame_id)).first()
    return _field(row) if row else None


def field_images(connection: Connection, frame_id: UUID) -> StoredObject | None:
    """Return where a field's images lie."""
    query = select(FieldOfView.object_key, FieldOfView.object_size, FieldOfView.object_sha256)
    row = connection.execute(query.where(FieldOfView.frame_id == frame_id)).first()
    return StoredObject(*row) if row else None


def strip_around(
    connection: Connection, slide_id: UUID, frame_id: UUID | None, *, reach: int
) -> list[StripEntry]:
    """Return a field and up to `reach` on each side; without a field, from the first one on."""
    ordered = (
        select(
            Frame.frame_id,
            Frame.sequence,
            func.row_number().over(order_by=(Frame.sequence, Frame.frame_id)).label("position"),
            func.count().over().label("total"),
        )
        .join(FieldOfView, FieldOfView.frame_id == Frame.frame_id)
        .where(Frame.slide_id == slide_id, USABLE)
        .cte("ordered")
    )
    chosen = select(ordered.c.position).where(ordered.c.frame_id == frame_id).scalar_subquery()
    query = (
        select(
            ordered.c.frame_id,
            ordered.c.sequence,
            _cell_count(ordered.c.frame_id).label("cells"),
            ordered.c.position,
            ordered.c.total,
        )
        .where(func.abs(ordered.c.position - func.coalesce(chosen, 1)) <= reach)
        .order_by(ordered.c.position)
    )
    return [StripEntry(*row) for row in connection.execute(query)]


def _cell_count(frame_id: ColumnElement[UUID] | InstrumentedAttribute[UUID]) -> ScalarSelect[int]:
    return select(func.count()).where(Cell.frame_id == frame_id).scalar_subquery()


def _fields() -> Select[*tuple[Any, ...]]:
    return select(
        Frame.frame_id,
        Frame.slide_id,
        Frame.sequence,
        Frame.captured_at,
        Frame.state,
        Frame.source,
        Frame.edge_version,
        Frame.quality,
        FieldOfView.width,
        FieldOfView.height,
        FieldOfView.um_per_px,
        FieldOfView.scale_source,
        FieldOfView.pixel_pipeline,
        FieldOfView.finder,
        _cell_count(Frame.frame_id).label("cells"),
        FieldOfView.object_key,
        FieldOfView.object_size,
        FieldOfView.object_sha256,
    ).join(FieldOfView, FieldOfView.frame_id == Frame.frame_id)


def _field(row: Row[Any]) -> FieldRow:
    return FieldRow(
        frame_id=row.frame_id,
        slide_id=row.slide_id,
        sequence=row.sequence,
        captured_at=row.captured_at,
        state=row.state,
        source=row.source,
        edge_version=row.edge_version,
        quality=row.quality or {},
        width=row.width,
        height=row.height,
        um_per_px=row.um_per_px,
        scale_source=row.scale_source,
        pixel_pipeline=row.pixel_pipeline,
        finder=row.finder,
        cells=row.cells,
        images=StoredObject(row.object_key, row.object_size, row.object_sha256),
    )
