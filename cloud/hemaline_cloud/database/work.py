"""The queue of the inference workers: PostgreSQL rows, leased under SKIP LOCKED."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    String,
    Uuid,
    any_,
    bindparam,
    case,
    column,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from hemaline_cloud.database.purposes import EVERYWHERE, Purpose, Sites
from hemaline_cloud.database.schema import FieldOfView, Frame, Slide, Work

CHANNEL = "hemaline_work"
"""Notified of when work was queued."""
_FREE = {Work.leased_by: None, Work.leased_at: None, Work.leased_until: None}
_BLAMELESS = {Work.attempts: Work.attempts - case((Work.suspected, 1), else_=0)}
"""An attempt is counted when a suspect is leased."""
_CLOCK_TOLERANCE = timedelta(seconds=1)
"""Clocks are set by less all the time."""


@dataclass(frozen=True, slots=True)
class LeasedField:
    """A field to infer, and where it lies.

    Attributes:
        alone: It is suspected of having ended a worker or failed a batch: judge it by itself.
        attempts: How often it was begun alone, this time counted.
    """

    frame_id: UUID
    slide_id: UUID
    site: str
    device: str
    object_key: str
    object_sha256: str
    object_size: int
    width: int
    height: int
    pixel_pipeline: str
    alone: bool = False
    attempts: int = 0

    @property
    def bytes(self) -> int:
        """What its packed images and its decoded picture take in memory; crops come on top."""
        return self.object_size + 3 * self.width * self.height


@dataclass(frozen=True, slots=True)
class Room:
    """What a worker can take at present.

    Attributes:
        pixel_pipelines: The versions whose crops its bundle judges; all else stays in the queue.
        purpose: What it serves its bundle for.
        sites: For which of them the bundle holds the purpose.
        fields: At most so many.
        bytes: At most so many, but one field always fits where the worker is idle.
        idle: It holds nothing: only then it can judge a suspect.
    """

    pixel_pipelines: Sequence[str]
    fields: int
    purpose: Purpose = "active"
    sites: Sites = EVERYWHERE
    bytes: int = sys.maxsize
    idle: bool = True


@dataclass(frozen=True, slots=True)
class Leases:
    """What was leased; nothing where a suspect is next, which waits for an idle worker."""

    fields: Sequence[LeasedField] = ()
    suspect_is_next: bool = False


@dataclass(frozen=True, slots=True)
class QueueState:
    """What is in the queue, by the server's clock.

    Attributes:
        depth: Fields that the asking worker can judge, leased ones too.
        leased: How many of them some worker holds.
        oldest_s: For how long the oldest of them waits; 0 when there is none.
        parked: Pixel pipeline -> fields that the asking worker cannot judge.
    """

    depth: int
    leased: int
    oldest_s: float
    parked: Mapping[str, int]


def enqueue(connection: Connection, frame_ids: Sequence[UUID]) -> None:
    """Queue recorded fields, each once, and wake the workers when the transaction commits.

    Where a bundle is on trial at the field's site, it is queued for that purpose, too.

    How soon a field's turn comes follows from what is known of its slide: the laboratory's `stat`
    first, then by urgency. Where either rises later, the database lets what is queued follow.
    """
    if not frame_ids:
        return
    connection.execute(_ENQUEUE, {"frame_ids": list(frame_ids)})
    connection.execute(select(func.pg_notify(CHANNEL, "")))


def _enqueue_statement() -> Insert:
    both = func.unnest(literal(["active", "trial"], ARRAY(String())))
    purposes = both.table_valued(column("purpose", String())).render_derived("purposes")
    on_trial = func.appointed_bundle(Frame.site, "trial").is_not(None)
    field = (
        select(
            FieldOfView.frame_id,
            FieldOfView.site,
            purposes.c.purpose,
            FieldOfView.pixel_pipeline,
            func.work_priority(Slide.urgency, Slide.priority).label("priority"),
            func.now().label("enqueued_at"),
            literal(0).label("attempts"),
        )
        .join(Frame, Frame.frame_id == FieldOfView.frame_id)
        .join(Slide, Slide.slide_id == Frame.slide_id)
        .join(purposes, or_(purposes.c.purpose == "active", on_trial))
        .where(FieldOfView.frame_id == any_(bindparam("frame_ids", type_=ARRAY(Uuid()))))
        .order_by(FieldOfView.frame_id)
    )
    names = [column.name for column in field.selected_columns]
    return insert(Work).from_select(names, field).on_conflict_do_nothing()


_ENQUEUE = _enqueue_statement()


def lease(connection: Connection, worker: str, room: Room, lease_s: float) -> Leases:
    """Take fields that nobody holds, urgent first, then oldest, for so many seconds.

    A worker that dies loses its leases with time. Each of its fields is then a suspect, as is one
    that failed in a batch: it is leased alone, to a worker that holds nothing else, so that it
    can harm no other field and none is blamed for another. While a suspect is next and `room` is
    not idle, nothing is leased.
    """
    first = _next_in_line(connection, room)
    chosen = _choose(first, room)
    if not chosen:
        return Leases(suspect_is_next=bool(first) and first[0].alone)
    alone = chosen[0].alone
    connection.execute(
        update(Work)
        .where(
            Work.frame_id.in_([field.frame_id for field in chosen]),
            Work.purpose == room.purpose,
        )
        .values(
            leased_by=worker,
            leased_at=func.now(),
            leased_until=_in(lease_s),
            suspected=alone,
            attempts=Work.attempts + int(alone),
        )
    )
    return Leases(chosen)


def _next_in_line(connection: Connection, room: Room) -> list[LeasedField]:
    """Lock the next fields that nobody holds; `attempts` as they will be once leased."""
    now = func.clock_timestamp()
    free = or_(
        Work.leased_until.is_(None),
        Work.leased_until < now,
        # The server's clock was set back: a dead worker's lease would last by as much longer.
        Work.leased_at > now + _CLOCK_TOLERANCE,
    )
    # None: queued by an older ingest, which did not write it.
    judged = or_(Work.pixel_pipeline.in_(room.pixel_pipelines), Work.pixel_pipeline.is_(None))
    suspect = or_(Work.suspected, Work.leased_by.is_not(None))
    wanted = (
        select(
            Work.frame_id,
            Frame.slide_id,
            Frame.site,
            Frame.device,
            FieldOfView.object_key,
            FieldOfView.object_sha256,
            FieldOfView.object_size,
            FieldOfView.width,
            FieldOfView.height,
            FieldOfView.pixel_pipeline,
            suspect.label("alone"),
            (Work.attempts + case((suspect, 1), else_=0)).label("attempts"),
        )
        .join(FieldOfView, FieldOfView.frame_id == Work.frame_id)
        .join(Frame, Frame.frame_id == Work.frame_id)
        .where(free, judged, Work.purpose == room.purpose, room.sites.hold(Work.site))
        # Ids are sorted by the time of capture, which settles what one transaction queued together.
        .order_by(Work.priority, Work.enqueued_at, Work.frame_id)
        .limit(room.fields)
        .with_for_update(skip_locked=True, of=Work)
    )
    fields = [LeasedField(**row) for row in connection.execute(wanted).mappings()]
    _park(connection, [f for f in fields if f.pixel_pipeline not in room.pixel_pipelines])
    return [field for field in fields if field.pixel_pipeline in room.pixel_pipelines]


def _park(connection: Connection, fields: Sequence[LeasedField]) -> None:
    """Note the pixel pipeline of fields, so that who cannot judge them does not find them again."""
    for field in fields:
        connection.execute(
            update(Work)
            .where(Work.frame_id == field.frame_id)
            .values(pixel_pipeline=field.pixel_pipeline)
        )


def _choose(fields: Sequence[LeasedField], room: Room) -> list[LeasedField]:
    """Return as many of the first fields as can be taken together."""
    if fields and fields[0].alone:
        return [fields[0]] if room.idle else []
    chosen: list[LeasedField] = []
    left = room.bytes
    for field in fields:
        fits = field.bytes <= left or (room.idle and not chosen)
        if field.alone or not fits:
            break
        chosen.append(field)
        left -= field.bytes
    return chosen


def extend(
    connection: Connection, worker: str, frame_ids: Sequence[UUID], lease_s: float
) -> set[UUID]:
    """Hold leases for longer; return those that are still the worker's."""
    held = (
        update(Work)
        .where(Work.frame_id.in_(frame_ids), Work.leased_by == worker)
        .values(leased_at=func.now(), leased_until=_in(lease_s))
        .returning(Work.frame_id)
    )
    return set(connection.scalars(held))


def complete(connection: Connection, worker: str, frame_ids: Sequence[UUID]) -> set[UUID]:
    """Take finished fields out of the queue, in the transaction that writes their results.

    Returns:
        The fields that were the worker's to finish. Another's lease has begun on the rest: drop
        their results, or a field would count twice.
    """
    done = (
        delete(Work)
        .where(Work.frame_id.in_(frame_ids), Work.leased_by == worker)
        .returning(Work.frame_id)
    )
    return set(connection.scalars(done))


def release(
    connection: Connection, worker: str, frame_ids: Sequence[UUID], *, suspected: bool
) -> None:
    """Give fields back, to be leased again at once.

    Args:
        connection: In a transaction.
        worker: Who holds them.
        frame_ids: The fields.
        suspected: One of them may be why; each is leased alone next. Otherwise they are surely not
            why, and an attempt that was begun does not count.
    """
    connection.execute(
        update(Work)
        .where(Work.frame_id.in_(frame_ids), Work.leased_by == worker)
        .values({**_FREE, **({Work.suspected: True} if suspected else _BLAMELESS)})
    )


def release_unknown(connection: Connection, worker: str, held: Sequence[UUID]) -> None:
    """Give back what a worker leased without learning of it: the connection broke at the commit."""
    connection.execute(
        update(Work)
        .where(Work.leased_by == worker, Work.frame_id.not_in(held))
        .values({**_FREE, **_BLAMELESS})
    )


def queue_state(
    connection: Connection, pixel_pipelines: Sequence[str], purpose: Purpose = "active"
) -> QueueState:
    """Measure the queue, for metrics and scaling, as a worker sees it that judges these."""
    pipeline = func.coalesce(Work.pixel_pipeline, FieldOfView.pixel_pipeline)
    leased = func.count().filter(Work.leased_by.is_not(None), Work.leased_until >= func.now())
    waits_s = func.extract("epoch", func.now() - func.min(Work.enqueued_at))
    rows = connection.execute(
        select(pipeline, func.count(), leased, waits_s)
        .join(FieldOfView, FieldOfView.frame_id == Work.frame_id)
        .where(Work.purpose == purpose)
        .group_by(pipeline)
    ).all()
    ours = [row for row in rows if row[0] in pixel_pipelines]
    return QueueState(
        depth=sum(row[1] for row in ours),
        leased=sum(row[2] for row in ours),
        oldest_s=max((max(0.0, float(row[3])) for row in ours), default=0.0),
        parked={row[0]: row[1] for row in rows if row[0] not in pixel_pipelines},
    )


def _in(seconds: float) -> Any:  # noqa: ANN401 - SQLAlchemy's own type of `now() + interval`
    return func.now() + timedelta(seconds=seconds)
