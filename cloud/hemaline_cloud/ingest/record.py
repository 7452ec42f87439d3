"""One batch of verified items, one transaction: slides, frames, fields, cells, work, devices."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.devices import record_status, record_telemetry
from hemaline_cloud.database.frames import (
    KnownFrame,
    find_frames,
    record_fields,
    record_frames,
)
from hemaline_cloud.database.slides import SlideRow, close_slide, find_slides, open_slides
from hemaline_cloud.database.work import enqueue
from hemaline_cloud.ingest.items import (
    Accepted,
    Closing,
    FrameIdentity,
    Granted,
    Heard,
    Item,
    Outcome,
    Refused,
    Settled,
)
from hemaline_cloud.ingest.rows import cell_rows, field_row, frame_row, slide_row
from hemaline_cloud.objects.keys import upload_key
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.messages import Receipt, RejectedMessage, Status
from hemaline_shared.topics import Channel

Recordable: TypeAlias = Accepted | Settled | Closing | Heard | Granted
_FrameItem: TypeAlias = Accepted | Settled


@dataclass(slots=True)
class Recorded:
    """What a batch came to: outcomes to tell, and items that the ledger contradicts."""

    outcomes: list[Outcome] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    """The states of the frames that are new to the ledger."""
    replays: int = 0


def record(connection: Connection, items: Sequence[Recordable]) -> Recorded:
    """Write a batch; what the ledger holds already is left as it is and answered as before.

    No two items may be of one frame: the second would be judged by the first before it is written.
    """
    recorded = Recorded()
    frames = [item for item in items if isinstance(item, Accepted | Settled)]
    known = find_frames(connection, (item.message.message_id for item in frames)) if frames else {}
    fresh: list[_FrameItem] = []
    for item in frames:
        if before := known.get(item.message.message_id):
            _judge(item, before, recorded)
        else:
            fresh.append(item)
    closings = [item for item in items if isinstance(item, Closing)]
    slides = _open_slides(connection, [*fresh, *closings])
    own = [item for item in fresh if _owns_slide(item, slides, recorded)]
    _record_frames(connection, own, recorded)
    for closing in closings:
        if _owns_slide(closing, slides, recorded):
            _close(connection, closing, slides[closing.message.slide_id], recorded)
    for other in items:
        if isinstance(other, Heard):
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


def refuse(item: Recordable, error: PermanentError) -> Refused:
    """Turn an item that the database will not take into a refusal."""
    message = item.message if isinstance(item, Accepted | Settled | Closing) else None
    framed = isinstance(item, Accepted | Settled)
    return Refused(
        item.delivery,
        item.name,
        Channel.FIELD if message else None,
        error.reason,
        str(error).replace("\0", "")[:1000],
        message_id=message.message_id if message else None,
        frame=FrameIdentity.model_validate(message) if framed else None,
        inline_sha256=_inline_sha256(item),
        upload=_upload_of(item),
        discard=_stored_object(item),
    )


def _judge(item: _FrameItem, known: KnownFrame, recorded: Recorded) -> None:
    """Answer a frame whose id the ledger holds: a replay as before, another content not at all."""
    same = is_same_frame(known, FrameIdentity.model_validate(item.message))
    if same and _is_same_content(item, known):
        recorded.replays += 1
        recorded.outcomes.append(_stored(item))
    elif same and known.state == "quarantined" and known.object_key is None:
        # It was refused when it first came. Perhaps with other bytes: these are kept as well.
        reason, detail = known.reason or "quarantined", known.detail or ""
        recorded.refused.append(_contradicted(item, reason, detail, _stored_object(item)))
    else:
        discard = tuple(key for key in _stored_object(item) if key != known.object_key)
        detail = "another frame has this id already"
        recorded.refused.append(_contradicted(item, "frame-id-reused", detail, discard))


def _is_same_content(item: _FrameItem, known: KnownFrame) -> bool:
    if isinstance(item, Accepted):
        return known.object_sha256 == item.message.images.sha256
    if isinstance(item.message, RejectedMessage):
        return known.state == "rejected"
    return known.state == "quarantined" and known.reason == item.message.reason


def _open_slides(
    connection: Connection, items: Sequence[_FrameItem | Closing]
) -> dict[UUID, SlideRow]:
    if not items:
        return {}
    moments = [(slide_row(item), _moment(item)) for item in items]
    open_slides(connection, moments)
    return find_slides(connection, (slide.slide_id for slide, _ in moments))


def _moment(item: _FrameItem | Closing) -> datetime:
    """When the slide was under the microscope; a clock that is ahead is not believed."""
    if isinstance(item, Closing):
        return item.delivery.received_at
    return min(item.message.captured_at, item.delivery.received_at)


def _owns_slide(
    item: _FrameItem | Closing, slides: dict[UUID, SlideRow], recorded: Recorded
) -> bool:
    if slides[item.message.slide_id]._replace(frames_expected=None) == slide_row(item):
        return True
    detail = "another device or specimen has this slide id already"
    recorded.refused.append(_contradicted(item, "slide-id-reused", detail, _stored_object(item)))
    return False


def _record_frames(connection: Connection, items: Sequence[_FrameItem], recorded: Recorded) -> None:
    rows = [frame_row(item) for item in items]
    if record_frames(connection, rows) != len(rows):
        raise TransientError("overtaken", "another ingest recorded one of these frames meanwhile")
    accepted = [item for item in items if isinstance(item, Accepted)]
    fields = [field_row(item) for item in accepted]
    record_fields(connection, fields, [cell for item in accepted for cell in cell_rows(item)])
    enqueue(connection, [row.frame_id for row in fields])
    recorded.states.extend(row.state for row in rows)
    recorded.outcomes.extend(_stored(item) for item in items)


def _close(connection: Connection, item: Closing, slide: SlideRow, recorded: Recorded) -> None:
    if slide.frames_expected not in {None, item.message.frames}:
        detail = f"the slide was closed with {slide.frames_expected} frames before"
        recorded.refused.append(_contradicted(item, "slide-closed-otherwise", detail))
        return
    if slide.frames_expected is None:
        close_slide(connection, item.message.slide_id, item.message.frames)
    else:
        recorded.replays += 1
    recorded.outcomes.append(_stored(item))


def _record_device(connection: Connection, item: Heard) -> None:
    message = item.message
    if isinstance(message, Status):
        record_status(
            connection,
            item.name,
            online=message.online,
            session=message.session,
            edge_version=message.edge_version,
            at=message.at,
        )
    else:
        telemetry = message.model_dump(mode="json")
        record_telemetry(connection, item.name, message.at, telemetry)


def _stored(item: _FrameItem | Closing) -> Outcome:
    sha256 = item.message.images.sha256 if isinstance(item, Accepted) else None
    receipt = Receipt(message_id=item.message.message_id, outcome="stored", sha256=sha256)
    upload = _upload_of(item)
    return Outcome(item.delivery, item.name, receipt, (upload,) if upload else ())


def _upload_of(item: Item) -> str | None:
    if isinstance(item, Accepted) and item.message.images.object_key:
        return upload_key(item.name, item.message.message_id)
    return None


def _inline_sha256(item: Item) -> str | None:
    if isinstance(item, Accepted) and item.message.images.inline is not None:
        return item.message.images.sha256
    return None


def _stored_object(item: Item) -> tuple[str, ...]:
    return (item.key,) if isinstance(item, Accepted) else ()


def _contradicted(
    item: _FrameItem | Closing, reason: str, detail: str, discard: tuple[str, ...] = ()
) -> Refused:
    message = item.message
    return Refused(
        item.delivery,
        item.name,
        Channel.FIELD,
        reason,
        detail,
        message_id=message.message_id,
        inline_sha256=_inline_sha256(item),
        upload=_upload_of(item),
        discard=discard,
    )
