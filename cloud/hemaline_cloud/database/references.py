"""Which stored objects rows refer to, and which of those are missing."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Column,
    Connection,
    MetaData,
    Select,
    Table,
    Text,
    exists,
    func,
    insert,
    null,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from hemaline_cloud.database.schema import DeadLetter, FieldOfView

_AT_ONCE = 5000
_LISTED = Table(
    "listed_objects",
    MetaData(),
    Column("key", Text),
    Column("size", BigInteger),
    Column("put_at", TIMESTAMP(timezone=True)),
    prefixes=["temporary"],
    postgresql_on_commit="drop",
)


class ListedObject(NamedTuple):
    """An object as the store lists it."""

    key: str
    size: int
    put_at: datetime


class Reference(NamedTuple):
    """An object that a row names: a field's, or a dead letter's, of which no hash is kept."""

    row_id: UUID
    key: str
    sha256: str | None


class Orphans(NamedTuple):
    """What no row refers to, of so many objects that were looked at."""

    objects: Sequence[ListedObject]
    looked_at: int


def find_orphans(connection: Connection, listed: Iterable[ListedObject]) -> Orphans:
    """Return those of the objects that neither a field nor a dead letter refers to.

    They are put into a table of this transaction, so that one pass over the rows is enough: an
    index over all keys would cost more than it helps.

    Args:
        connection: In a transaction.
        listed: Of the store, read as it comes.
    """
    _LISTED.create(connection)
    looked_at = 0
    rest = iter(listed)
    while some := list(islice(rest, _AT_ONCE)):
        connection.execute(insert(_LISTED), [one._asdict() for one in some])
        looked_at += len(some)
    waits = DeadLetter.state != "discarded"
    referring = (
        exists().where(FieldOfView.object_key == _LISTED.c.key),
        exists().where(DeadLetter.object_key == _LISTED.c.key, waits),
        exists().where(func.concat(DeadLetter.object_key, ".upload") == _LISTED.c.key, waits),
    )
    orphans = select(_LISTED).where(*(~one for one in referring)).order_by(_LISTED.c.put_at)
    return Orphans([ListedObject(*row) for row in connection.execute(orphans)], looked_at)


def referred_objects(connection: Connection) -> Iterator[Reference]:
    """Yield the object of every field, then of every dead letter that was not discarded."""
    fields = select(FieldOfView.frame_id, FieldOfView.object_key, FieldOfView.object_sha256)
    yield from _paged(connection, fields, FieldOfView.frame_id)
    letters = select(DeadLetter.dead_letter_id, DeadLetter.object_key, null()).where(
        DeadLetter.state != "discarded"
    )
    yield from _paged(connection, letters, DeadLetter.dead_letter_id)


def _paged(
    connection: Connection, wanted: Select[*tuple[Any, ...]], by: InstrumentedAttribute[UUID]
) -> Iterator[Reference]:
    after: UUID | None = None
    while True:
        some = wanted if after is None else wanted.where(by > after)
        rows = connection.execute(some.order_by(by).limit(_AT_ONCE)).all()
        if not rows:
            return
        yield from (Reference(*row) for row in rows)
        after = rows[-1][0]
