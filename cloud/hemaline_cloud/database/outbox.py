"""The outbox: what changed, for readers that keep their own position in it."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Connection, delete, func, insert, select, tuple_

from hemaline_cloud.database.schema import OutboxEntry

KEPT_FOR = timedelta(days=1)


class Position(NamedTuple):
    """Up to where a reader has read."""

    transaction: int
    number: int


class Entry(NamedTuple):
    """One change."""

    transaction: int
    number: int
    site: str | None
    kind: str
    subject_id: UUID | None

    @property
    def position(self) -> Position:
        """Where a reader is that has read it."""
        return Position(self.transaction, self.number)


_COLUMNS = tuple(getattr(OutboxEntry, name) for name in Entry._fields)
_ORDER = (OutboxEntry.transaction, OutboxEntry.number)
_SETTLED_BEFORE = func.settled_before(type_=BigInteger)


def tell_of_slide(connection: Connection, site: str, slide_id: UUID) -> None:
    """Add an entry: something of this slide changed, in this transaction."""
    row = {"site": site, "kind": "slide", "subject_id": slide_id}
    connection.execute(insert(OutboxEntry), row)


def newest_position(connection: Connection) -> Position:
    """Return a position before which nothing is added any more."""
    return Position(connection.scalar(select(_SETTLED_BEFORE)) or 0, 0)


def entries_after(connection: Connection, position: Position, limit: int) -> list[Entry]:
    """Return at most `limit` settled entries that follow a position, in order.

    An entry has settled when its transaction and all that are older have ended.
    """
    query = (
        select(*_COLUMNS)
        .where(tuple_(*_ORDER) > position, OutboxEntry.transaction < _SETTLED_BEFORE)
        .order_by(*_ORDER)
        .limit(limit)
    )
    return [Entry(*row) for row in connection.execute(query)]


def has_unsettled(connection: Connection) -> bool:
    """Whether entries wait for an older transaction to end."""
    query = select(OutboxEntry.number).where(OutboxEntry.transaction >= _SETTLED_BEFORE).limit(1)
    return connection.scalar(query) is not None


def is_kept(connection: Connection, position: Position) -> bool:
    """Whether all entries that follow a position are still there."""
    oldest = connection.scalar(select(func.min(OutboxEntry.transaction)))
    return oldest is not None and position.transaction >= oldest


def forget_old(connection: Connection) -> None:
    """Delete what is older than a day: whoever was away for longer reads everything again.

    What is deleted comes before all that is kept, and the newest is kept, so that `is_kept` knows.
    """
    young = OutboxEntry.at >= func.now() - KEPT_FOR
    first_kept = select(
        func.coalesce(
            func.min(OutboxEntry.transaction).filter(young), func.max(OutboxEntry.transaction)
        )
    )
    connection.execute(
        delete(OutboxEntry).where(OutboxEntry.transaction < first_kept.scalar_subquery())
    )
