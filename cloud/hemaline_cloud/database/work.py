"""The queue of the inference workers: PostgreSQL rows, leased under SKIP LOCKED."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, delete, func, or_, select, update

from hemaline_cloud.database.bulk import insert_rows
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.schema import FieldOfView, Frame, Work
from hemaline_shared.errors import TransientError

URGENT = 0
ROUTINE = 100
"""Priorities: the lower, the sooner."""

_CHANNEL = "hemaline_work"


@dataclass(frozen=True, slots=True)
class LeasedField:
    """A field to infer, and where it lies. `attempts` counts this one too."""

    frame_id: UUID
    slide_id: UUID
    object_key: str
    object_sha256: str
    width: int
    height: int
    pixel_pipeline: str
    attempts: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """What is in the queue: `depth` counts leased rows too; `oldest` is None when it is empty."""

    depth: int
    leased: int
    oldest: datetime | None


def enqueue(connection: Connection, frame_ids: Sequence[UUID], priority: int = ROUTINE) -> None:
    """Queue fields, each once, and wake the workers when the transaction commits."""
    if not frame_ids:
        return
    queued = {"priority": priority, "enqueued_at": datetime.now(UTC), "attempts": 0}
    insert_rows(connection, Work, [{"frame_id": frame_id, **queued} for frame_id in frame_ids])
    connection.execute(select(func.pg_notify(_CHANNEL, "")))


def lease(connection: Connection, worker: str, limit: int, lease_s: float) -> list[LeasedField]:
    """Take fields that nobody holds, urgent first, then oldest, for so many seconds.

    A worker that dies loses its lease with time, and the field is leased again.
    """
    free = or_(Work.leased_until.is_(None), Work.leased_until < func.now())
    # Ids are sorted by the time of capture, which settles what one transaction queued together.
    order = (Work.priority, Work.enqueued_at, Work.frame_id)
    chosen = (
        select(Work.frame_id)
        .where(free)
        .order_by(*order)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    taken = (
        update(Work)
        .where(Work.frame_id == chosen.c.frame_id)
        .values(leased_by=worker, leased_until=_in(lease_s), attempts=Work.attempts + 1)
        .returning(Work.frame_id, Work.priority, Work.enqueued_at, Work.attempts)
        .cte("taken")
    )
    leased = (
        select(
            taken.c.frame_id,
            Frame.slide_id,
            FieldOfView.object_key,
            FieldOfView.object_sha256,
            FieldOfView.width,
            FieldOfView.height,
            FieldOfView.pixel_pipeline,
            taken.c.attempts,
        )
        .join(Frame, Frame.frame_id == taken.c.frame_id)
        .join(FieldOfView, FieldOfView.frame_id == taken.c.frame_id)
        .order_by(taken.c.priority, taken.c.enqueued_at, taken.c.frame_id)
    )
    return [LeasedField(*row) for row in connection.execute(leased)]


def extend(
    connection: Connection, worker: str, frame_ids: Sequence[UUID], lease_s: float
) -> set[UUID]:
    """Hold leases for longer; return those that are still the worker's."""
    held = (
        update(Work)
        .where(Work.frame_id.in_(frame_ids), Work.leased_by == worker)
        .values(leased_until=_in(lease_s))
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
    connection: Connection, worker: str, frame_id: UUID, retry_in_s: float, *, blameless: bool
) -> None:
    """Give a field back, to be leased again no sooner than in so many seconds.

    Args:
        connection: In a transaction.
        worker: Who holds it.
        frame_id: The field.
        retry_in_s: How long it rests.
        blameless: The field is surely not why it is given back: this attempt does not count.
    """
    connection.execute(
        update(Work)
        .where(Work.frame_id == frame_id, Work.leased_by == worker)
        .values(
            leased_by=None,
            leased_until=_in(retry_in_s),
            attempts=Work.attempts - int(blameless),
        )
    )


def queue_state(connection: Connection) -> QueueState:
    """Measure the queue, for metrics and scaling."""
    leased = func.count().filter(Work.leased_by.is_not(None), Work.leased_until >= func.now())
    row = connection.execute(select(func.count(), leased, func.min(Work.enqueued_at))).one()
    return QueueState(*row)


class WorkBell:
    """Rings when work is queued, so that workers need not poll often."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def wait(self, timeout_s: float) -> bool:
        """Sleep until work was queued since the last call; False when the time is over.

        Raises:
            TransientError: `database-unavailable`; listen anew.
        """
        try:
            return any(True for _ in self._connection.notifies(timeout=timeout_s, stop_after=1))
        except psycopg.Error as error:
            raise TransientError("database-unavailable", f"PostgreSQL: {error}") from error


@contextmanager
def listen_for_work(engine: Engine) -> Iterator[WorkBell]:
    """Open a connection that hears of new work. What was queued before is not rung for."""
    autocommitting = engine.execution_options(isolation_level="AUTOCOMMIT")
    with unit_of_work(autocommitting) as connection:
        connection.exec_driver_sql(f"listen {_CHANNEL}")
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        try:
            yield WorkBell(driver)
        finally:
            if not driver.closed:
                connection.exec_driver_sql(f"unlisten {_CHANNEL}")


def _in(seconds: float) -> Any:  # noqa: ANN401 - SQLAlchemy's own type of `now() + interval`
    return func.now() + timedelta(seconds=seconds)
