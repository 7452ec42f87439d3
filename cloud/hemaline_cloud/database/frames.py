"""The ledger's writing side: every captured frame once, with its field and its cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, any_, bindparam, select, update

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.bulk import insert_rows
from hemaline_cloud.database.counted_cells import CUT
from hemaline_cloud.database.schema import Cell, FieldOfView, Frame
from hemaline_cloud.principal import service
from hemaline_shared.pixels.types import Box


class FrameRow(NamedTuple):
    """One captured frame as the ledger holds it; `settled_at` is set in a terminal state."""

    frame_id: UUID
    slide_id: UUID
    site: str
    device: str
    sequence: int
    source: str
    edge_version: str
    captured_at: datetime
    received_at: datetime
    state: str
    settled_at: datetime | None = None
    reason: str | None = None
    detail: str | None = None
    quality: dict[str, Any] | None = None
    thumbnail: bytes | None = None


class FieldRow(NamedTuple):
    """What was stored of an accepted frame."""

    frame_id: UUID
    site: str
    width: int
    height: int
    um_per_px: float
    scale_source: str
    pixel_pipeline: str
    finder: str
    object_key: str
    object_size: int
    object_sha256: str


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell of a field; the box is in the field's pixels."""

    cell_id: UUID
    frame_id: UUID
    site: str
    index: int
    left: int
    top: int
    right: int
    bottom: int
    confidence: float

    @property
    def box(self) -> Box:
        """Where it lies."""
        return Box(self.left, self.top, self.right, self.bottom)


class KnownFrame(NamedTuple):
    """What tells a replayed frame from another one under its id, and what became of it."""

    frame_id: UUID
    slide_id: UUID
    site: str
    device: str
    sequence: int
    captured_at: datetime
    state: str
    reason: str | None
    detail: str | None
    object_key: str | None
    object_sha256: str | None


_FIND_FRAMES = (
    select(
        Frame.frame_id,
        Frame.slide_id,
        Frame.site,
        Frame.device,
        Frame.sequence,
        Frame.captured_at,
        Frame.state,
        Frame.reason,
        Frame.detail,
        FieldOfView.object_key,
        FieldOfView.object_sha256,
    )
    .join(FieldOfView, FieldOfView.frame_id == Frame.frame_id, isouter=True)
    .where(Frame.frame_id == any_(bindparam("frame_ids", type_=ARRAY(Uuid()))))
)


def find_frames(connection: Connection, frame_ids: Sequence[UUID]) -> dict[UUID, KnownFrame]:
    """Return those of the frames that the ledger holds."""
    if not frame_ids:
        return {}
    found = connection.execute(_FIND_FRAMES, {"frame_ids": list(frame_ids)})
    return {row.frame_id: KnownFrame(*row) for row in found}


def record_frames(connection: Connection, frames: Sequence[FrameRow]) -> int:
    """Add frames to the ledger; return how many of them it did not hold yet."""
    # Sorted, so that two transactions take row locks in one order.
    rows = [frame._asdict() for frame in sorted(frames, key=lambda frame: frame.frame_id)]
    return insert_rows(connection, Frame, rows)


def readmit_frame(connection: Connection, frame: FrameRow, refusal: str) -> None:
    """Take a frame out of quarantine that was refused when it first came, and now came whole."""
    changed = {name: value for name, value in frame._asdict().items() if name != "frame_id"}
    connection.execute(update(Frame).where(Frame.frame_id == frame.frame_id).values(**changed))
    event = Event("readmit", "frame", frame.frame_id, refusal, frame.site, frame.slide_id)
    record_event(connection, service("ingest"), event)


def record_fields(
    connection: Connection, fields: Sequence[FieldRow], cells: Iterable[CellRow]
) -> None:
    """Add the fields of frames that were just recorded, and their cells."""
    insert_rows(connection, FieldOfView, [field._asdict() for field in fields])
    sizes = {field.frame_id: (field.width, field.height) for field in fields}
    columns = CellRow.__slots__
    rows = [
        {name: getattr(cell, name) for name in columns}
        # Known from the start: a row that is written once leaves no dead one behind.
        | {"excluded": CUT if cell.box.is_cut(*sizes[cell.frame_id]) else None}
        for cell in cells
    ]
    insert_rows(connection, Cell, rows)
