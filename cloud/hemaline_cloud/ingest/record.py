"""One batch of verified items, one transaction: slides, frames, fields, cells, work, devices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.configuration import record_report
from hemaline_cloud.database.device_commands import record_result
from hemaline_cloud.database.device_history import add_frames
from hemaline_cloud.database.devices import record_status, record_telemetry
from hemaline_cloud.database.engine import pipelined
from hemaline_cloud.database.frames import (
    CellRow,
    FieldRow,
    FrameRow,
    KnownFrame,
    find_frames,
    readmit_frame,
    record_fields,
    record_frames,
)
from hemaline_cloud.database.slides import SlideRow, close_slide
from hemaline_cloud.database.work import enqueue
from hemaline_cloud.ingest.answers import contradicted, stored
from hemaline_cloud.ingest.items import (
    Accepted,
    Closing,
    DeviceReport,
    EndedAtEdge,
    FrameIdentity,
    FrameItem,
    Granted,
    Outcome,
    Recordable,
    Refused,
    SlideItem,
)
from hemaline_cloud.ingest.slides import KnownSlides, OpenSlide, slide_row
from hemaline_cloud.principal import service
from hemaline_shared.device_commands import CommandResult
from hemaline_shared.device_configuration import ReportedConfiguration
from hemaline_shared.errors import TransientError
from hemaline_shared.ids import cell_id
from hemaline_shared.messages import QuarantinedMessage, RejectedMessage, Status


@dataclass(slots=True)
class Recorded:
    """What a batch came to: outcomes to tell, and items that the ledger contradicts."""

    outcomes: list[Outcome] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    """The states of the frames that are new to the ledger."""
    replays: int = 0
    slides: dict[UUID, OpenSlide] = field(default_factory=dict)
    """What the ledger holds of slides from now on, and since when each is open."""


def record(
    connection: Connection, items: Sequence[Recordable], known_slides: KnownSlides
) -> Recorded:
    """Write a batch; what the ledger holds already is left as it is and answered as before.

    A frame that was quarantined without its images, and comes again whole, is taken in after all.
    No two items may be of one frame: the second would be judged by the first before it is written.
    """
    recorded = Recorded()
    frames = [item for item in items if isinstance(item, Accepted | EndedAtEdge)]
    known = find_frames(connection, [item.message.message_id for item in frames])
    fresh: list[FrameItem] = []
    for item in frames:
        if before := known.get(item.message.message_id):
            _judge(connection, item, before, recorded)
        else:
            fresh.append(item)
    closings = [item for item in items if isinstance(item, Closing)]
    slides, recorded.slides = known_slides.open(connection, [*fresh, *closings])
    _record_frames(
        connection, [item for item in fresh if _owns_slide(item, slides, recorded)], recorded
    )
    for closing in closings:
        if _owns_slide(closing, slides, recorded):
            _close(connection, closing, recorded)
    for other in items:
        if isinstance(other, DeviceReport):
            _record_device(connection, other)
            recorded.outcomes.append(Outcome(other.delivery, other.name, None))
        elif isinstance(other, Granted):
            recorded.outcomes.append(Outcome(other.delivery, other.name, other.grant))
    return recorded


def is_same_frame(known: KnownFrame, frame: FrameIdentity) -> bool:
    """Whether a message names the very capture that the ledger holds under its id."""
    return (known.site, known.device, known.slide_id, known.sequence, known.captured_at) == (
        frame.site,
        frame.device,
        frame.slide_id,
        frame.sequence,
        frame.captured_at,
    )


def _judge(connection: Connection, item: FrameItem, known: KnownFrame, recorded: Recorded) -> None:
    """Answer a frame whose id the ledger holds: a replay as before, another content not at all."""
    same = is_same_frame(known, FrameIdentity.model_validate(item.message))
    is_without_images = known.state == "quarantined" and known.object_key is None
    if same and _is_same_content(item, known):
        recorded.replays += 1
        recorded.outcomes.append(stored(item, spared=known.object_key))
    elif same and is_without_images and isinstance(item, Accepted):
        readmit_frame(connection, _frame_row(item), f"{known.reason}: {known.detail}")
        _record_fields(connection, [item])
        recorded.states.append("pending")
        recorded.outcomes.append(stored(item))
    elif same and is_without_images:
        reason, detail = known.reason or "quarantined", known.detail or ""
        recorded.refused.append(contradicted(item, reason, detail))
    else:
        detail = "another frame has this id already"
        spared = known.object_key
        recorded.refused.append(contradicted(item, "frame-id-reused", detail, spared=spared))


def _is_same_content(item: FrameItem, known: KnownFrame) -> bool:
    if isinstance(item, Accepted):
        return known.object_sha256 == item.message.images.sha256
    if isinstance(item.message, RejectedMessage):
        return known.state == "rejected"
    return known.state == "quarantined" and known.reason == item.message.reason


def _owns_slide(item: SlideItem, slides: dict[UUID, SlideRow], recorded: Recorded) -> bool:
    if slides[item.message.slide_id].has_owner_of(slide_row(item)):
        return True
    detail = "another device or specimen has this slide id already"
    recorded.refused.append(contradicted(item, "slide-id-reused", detail))
    return False


def _record_frames(connection: Connection, items: Sequence[FrameItem], recorded: Recorded) -> None:
    rows = [_frame_row(item) for item in items]
    if record_frames(connection, rows) != len(rows):
        raise TransientError("overtaken", "another ingest recorded one of these frames meanwhile")
    add_frames(connection, rows)
    _record_fields(connection, [item for item in items if isinstance(item, Accepted)])
    recorded.states.extend(row.state for row in rows)
    recorded.outcomes.extend(stored(item) for item in items)


def _record_fields(connection: Connection, items: Sequence[Accepted]) -> None:
    fields = [_field_row(item) for item in items]
    with pipelined(connection):
        record_fields(connection, fields, (cell for item in items for cell in _cell_rows(item)))
        enqueue(connection, [row.frame_id for row in fields])


def _frame_row(item: FrameItem) -> FrameRow:
    """Return the ledger's row of a frame: pending, or at its end already."""
    message, received_at = item.message, item.delivery.received_at
    row = FrameRow(
        frame_id=message.message_id,
        slide_id=message.slide_id,
        site=message.site,
        device=message.device,
        sequence=message.sequence,
        source=message.source,
        edge_version=message.edge_version,
        captured_at=message.captured_at,
        received_at=received_at,
        state="pending",
    )
    if isinstance(message, QuarantinedMessage):
        return row._replace(
            state="quarantined",
            settled_at=received_at,
            reason=message.reason,
            detail=message.detail,
        )
    row = row._replace(quality=message.quality.model_dump(mode="json"))
    if isinstance(message, RejectedMessage):
        return row._replace(
            state="rejected",
            settled_at=received_at,
            reason=message.quality.reasons[0],
            detail=", ".join(message.quality.reasons),
            thumbnail=message.thumbnail,
        )
    return row


def _field_row(item: Accepted) -> FieldRow:
    message = item.message
    return FieldRow(
        frame_id=message.message_id,
        site=message.site,
        width=message.width,
        height=message.height,
        um_per_px=message.um_per_px,
        scale_source=message.scale_source,
        pixel_pipeline=message.pixel_pipeline,
        finder=message.finder,
        object_key=item.key,
        object_size=message.images.size,
        object_sha256=message.images.sha256,
    )


def _cell_rows(item: Accepted) -> Iterable[CellRow]:
    frame_id = item.message.message_id
    for cell in item.message.cells:
        yield CellRow(
            cell_id(frame_id, cell.index),
            frame_id,
            item.message.site,
            cell.index,
            cell.left,
            cell.top,
            cell.right,
            cell.bottom,
            cell.confidence,
        )


def _close(connection: Connection, item: Closing, recorded: Recorded) -> None:
    before = close_slide(connection, item.message.slide_id, item.message.frames)
    if before not in {None, item.message.frames}:
        detail = f"the slide was closed with {before} frames before"
        recorded.refused.append(contradicted(item, "slide-closed-otherwise", detail))
        return
    recorded.replays += before is not None
    recorded.outcomes.append(stored(item))


def _record_device(connection: Connection, item: DeviceReport) -> None:
    message = item.message
    if isinstance(message, Status):
        record_status(connection, item.name, message)
    elif isinstance(message, ReportedConfiguration):
        record_report(connection, item.name, message)
    elif isinstance(message, CommandResult):
        record_result(connection, service("ingest"), item.name, message)
    else:
        record_telemetry(connection, item.name, message)
