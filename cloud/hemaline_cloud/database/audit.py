"""The audit: who saw or changed what. Rows are only added, unchained; sealing comes after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, Connection, bindparam, func, insert, or_, select

from hemaline_cloud.database.schema import AuditEvent, Slide
from hemaline_cloud.principal import Principal
from hemaline_shared.ids import new_id

READ = "read"
_LOOKING = (READ, "see")
_SAYING = ("label", "undo", "comment", "assess", "add-cell", "take-back-cell", "request")
_LONGEST_DETAIL = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody saw or did.

    Attributes:
        action: `read`, or the verb: `retry`, `discard`, `label` …
        subject: What kind of thing.
        subject_id: Which; None for a list.
        detail: Why, or from which state it was taken; what is too long is cut off.
        site: Whose it is; None: the slide's, or of no site alone.
        slide_id: The slide that it belongs to.
        shown: The slides that a list showed.
    """

    action: str
    subject: str
    subject_id: UUID | None = None
    detail: str = ""
    site: str | None = None
    slide_id: UUID | None = None
    shown: Sequence[UUID] | None = None


class EventRow(NamedTuple):
    """One event as it is stored; see `AuditEvent`."""

    event_id: UUID
    transaction: int
    at: datetime
    site: str | None
    actor: str
    actor_name: str
    action: str
    subject: str
    subject_id: UUID | None
    slide_id: UUID | None
    shown: list[UUID] | None
    detail: str


EVENT_COLUMNS = tuple(getattr(AuditEvent, name) for name in EventRow._fields)


def record_event(connection: Connection, who: Principal, event: Event) -> None:
    """Add an event: of a change, in the transaction that makes it."""
    row = {
        "event_id": new_id(),
        "actor": who.id,
        "actor_name": who.name,
        "action": event.action,
        "subject": event.subject,
        "subject_id": event.subject_id,
        "detail": event.detail[:_LONGEST_DETAIL],
        "site": event.site,
        "slide_id": event.slide_id,
        "shown": list(event.shown) if event.shown is not None else None,
    }
    ask_the_slide = event.site is None and event.slide_id is not None
    connection.execute(_INSERT_WITH_SITE if ask_the_slide else _INSERT, row)


_WRITTEN = tuple(name for name in EventRow._fields if name not in {"transaction", "at"})
_INSERT = insert(AuditEvent).values({name: bindparam(name) for name in _WRITTEN})
_INSERT_WITH_SITE = _INSERT.values(
    site=select(Slide.site).where(Slide.slide_id == bindparam("slide_id")).scalar_subquery()
)


def changes_of(connection: Connection, subject_id: UUID) -> list[EventRow]:
    """Return what was done with a dead letter, a frame or another thing, oldest first."""
    wanted = (
        select(*EVENT_COLUMNS)
        .where(AuditEvent.subject_id == subject_id, AuditEvent.action != READ)
        .order_by(AuditEvent.event_id)
    )
    return [EventRow(*row) for row in connection.execute(wanted)]


def timeline_of(
    connection: Connection,
    slide_id: UUID,
    *,
    limit: int,
    before: UUID | None = None,
    reads: bool = False,
) -> list[EventRow]:
    """Return at most `limit` events of a slide, the newest first.

    Args:
        connection: In a transaction.
        slide_id: Which slide.
        limit: Rows at most.
        before: The last event of the page before.
        reads: Who looked at it, too: it is many rows.
    """
    # Whoever may not know a label yet may not read of it here either.
    told = func.may_know(AuditEvent.slide_id, AuditEvent.actor, type_=Boolean)
    wanted = select(*EVENT_COLUMNS).where(
        AuditEvent.slide_id == slide_id, or_(AuditEvent.action.not_in(_SAYING), told)
    )
    if not reads:
        wanted = wanted.where(AuditEvent.action.not_in(_LOOKING))
    if before is not None:
        wanted = wanted.where(AuditEvent.event_id < before)
    newest = wanted.order_by(AuditEvent.event_id.desc()).limit(limit)
    return [EventRow(*row) for row in connection.execute(newest)]
