"""Quarantined frames: listed, shown, judged again, or laid aside, each verb in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, select, update

from hemaline_cloud.database.audit import READ, Event, record_event
from hemaline_cloud.database.schema import AuditEvent, FieldOfView, Frame
from hemaline_cloud.database.work import enqueue
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError


class QuarantinedFrame(NamedTuple):
    """A frame in quarantine and why; `object_key` is None where the cloud never had its images."""

    frame_id: UUID
    slide_id: UUID
    site: str
    device: str
    captured_at: datetime
    settled_at: datetime | None
    reason: str
    detail: str | None
    object_key: str | None
    discarded: bool


def quarantined_frames(
    connection: Connection,
    *,
    frame_ids: Sequence[UUID] | None = None,
    reason: str | None = None,
    discarded: bool = False,
    limit: int | None = None,
) -> list[QuarantinedFrame]:
    """Return quarantined frames, newest first.

    Args:
        connection: In a transaction.
        frame_ids: These alone; None: all.
        reason: Of this reason alone; None: of any.
        discarded: Those too that an operator laid aside.
        limit: So many at most.
    """
    wanted = (
        select(
            Frame.frame_id,
            Frame.slide_id,
            Frame.site,
            Frame.device,
            Frame.captured_at,
            Frame.settled_at,
            Frame.reason,
            Frame.detail,
            FieldOfView.object_key,
            _is_discarded().label("discarded"),
        )
        .join(FieldOfView, FieldOfView.frame_id == Frame.frame_id, isouter=True)
        .where(Frame.state == "quarantined")
        .order_by(Frame.frame_id.desc())
        .limit(limit)
    )
    if frame_ids is not None:
        wanted = wanted.where(Frame.frame_id.in_(frame_ids))
    if reason is not None:
        wanted = wanted.where(Frame.reason == reason)
    if not discarded:
        wanted = wanted.where(~_is_discarded())
    return [QuarantinedFrame(**row) for row in connection.execute(wanted).mappings()]


def retry_frame(connection: Connection, who: Principal, frame_id: UUID) -> None:
    """Queue a quarantined frame from its kept images; the ledger has it pending again.

    Raises:
        PermanentError: `not-quarantined`, or `no-images` where the cloud never had them.
    """
    frame = _quarantined(connection, frame_id)
    if frame.object_key is None:
        raise PermanentError(
            "no-images",
            f"The images of frame {frame_id} never came into the object store: look at its device "
            f"{frame.site}/{frame.device}, or at `hemaline-cloud dead-letters list`.",
        )
    connection.execute(
        update(Frame)
        .where(Frame.frame_id == frame_id)
        .values(state="pending", reason=None, detail=None, settled_at=None)
    )
    enqueue(connection, [frame_id])
    _record(connection, who, "retry", frame, f"was {frame.reason}")


def discard_frame(connection: Connection, who: Principal, frame_id: UUID, why: str) -> None:
    """Lay a quarantined frame aside: it stays in the ledger, with its images, and off the list.

    Raises:
        PermanentError: `not-quarantined`, or `no-reason` where `why` is empty.
    """
    if not why.strip():
        raise PermanentError("no-reason", "Say why the frame is discarded: --why TEXT.")
    frame = _quarantined(connection, frame_id)
    if not frame.discarded:
        _record(connection, who, "discard", frame, why.strip())


def _record(
    connection: Connection, who: Principal, action: str, frame: QuarantinedFrame, detail: str
) -> None:
    event = Event(action, "frame", frame.frame_id, detail, frame.site, frame.slide_id)
    record_event(connection, who, event)


def _quarantined(connection: Connection, frame_id: UUID) -> QuarantinedFrame:
    """Return a quarantined frame that nobody else may change meanwhile."""
    connection.execute(select(Frame.frame_id).where(Frame.frame_id == frame_id).with_for_update())
    found = quarantined_frames(connection, frame_ids=[frame_id], discarded=True)
    if not found:
        raise PermanentError(
            "not-quarantined",
            f"No frame {frame_id} is in quarantine: `hemaline-cloud frames list` shows those that "
            "are.",
        )
    return found[0]


def _is_discarded() -> ColumnElement[bool]:
    """Whether the last verb that was used on the frame laid it aside."""
    last = (
        select(AuditEvent.action)
        .where(AuditEvent.subject_id == Frame.frame_id, AuditEvent.action != READ)
        .order_by(AuditEvent.event_id.desc())
        .limit(1)
        .correlate(Frame)
        .scalar_subquery()
    )
    return func.coalesce(last == "discard", False)
