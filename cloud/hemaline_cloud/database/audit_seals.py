"""The seals of the audit, and the events that each of them holds."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, func, insert, select, text

from hemaline_cloud.database.audit import EVENT_COLUMNS, EventRow
from hemaline_cloud.database.schema import AuditEvent, AuditSeal

_LOCK = 0x5EA1


class SealRow(NamedTuple):
    """One block's seal; it holds the events of the transactions `since` to before `until`."""

    number: int
    form: int
    since: int
    until: int
    events: int
    sealed_at: datetime
    hash: str


_COLUMNS = tuple(getattr(AuditSeal, name) for name in SealRow._fields)
_ORDER = (AuditEvent.transaction, AuditEvent.event_id)


class Settled(NamedTuple):
    """Before which transaction all have ended, and when that was asked."""

    before: int
    at: datetime


def become_sealer(connection: Connection) -> bool:
    """Whether nobody else seals until this transaction's end."""
    return bool(connection.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}))


def settled(connection: Connection) -> Settled:
    """Return before which transaction no event can come any more: each of them has ended."""
    row = connection.execute(
        select(func.settled_before(type_=BigInteger), func.clock_timestamp())
    ).one()
    return Settled(*row)


def newest_seal(connection: Connection) -> SealRow | None:
    """Return the last seal of the chain, or None before the first."""
    row = connection.execute(select(*_COLUMNS).order_by(AuditSeal.number.desc()).limit(1)).first()
    return SealRow(*row) if row else None


def seals_after(connection: Connection, number: int, limit: int) -> list[SealRow]:
    """Return at most `limit` seals that follow this number, in order."""
    query = select(*_COLUMNS).where(AuditSeal.number > number).order_by(AuditSeal.number)
    return [SealRow(*row) for row in connection.execute(query.limit(limit))]


def events_between(
    connection: Connection, since: int, until: int, limit: int | None = None
) -> list[EventRow]:
    """Return the events of these transactions in the order of blocks, at most `limit`."""
    query = (
        select(*EVENT_COLUMNS)
        .where(AuditEvent.transaction >= since, AuditEvent.transaction < until)
        .order_by(*_ORDER)
        .limit(limit)
    )
    return [EventRow(*row) for row in connection.execute(query)]


def add_seal(connection: Connection, seal: SealRow) -> None:
    """Add a seal to the chain."""
    connection.execute(insert(AuditSeal), seal._asdict())


def unsealed_since(connection: Connection, until: int) -> tuple[int, datetime | None]:
    """Return how many events the transactions from `until` on have, and when the first was."""
    query = select(func.count(), func.min(AuditEvent.at)).where(AuditEvent.transaction >= until)
    number, oldest = connection.execute(query).one()
    return number, oldest


def count_on(connection: Connection) -> None:
    """Number transactions on from the newest block, where the server counts them anew.

    A server into which a dump was restored does so. Only the owner of the schema may do this.
    """
    newest = newest_seal(connection)
    if newest is None or settled(connection).before >= newest.until:
        return
    counted = connection.scalar(text("select pg_current_xact_id()::text::bigint"))
    distance = newest.until - (counted or 0)
    for statement in _COUNTERS:
        connection.exec_driver_sql(statement.format(distance=distance))


_COUNTERS = (
    (
        "create or replace function transaction_number() returns bigint language sql volatile"
        " as $$ select pg_current_xact_id()::text::bigint + {distance:d} $$"
    ),
    (
        "create or replace function settled_before() returns bigint language sql stable"
        " as $$ select pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {distance:d} $$"
    ),
)
