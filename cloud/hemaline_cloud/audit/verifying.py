"""Proves the audit: every block anew, from the first to the last, and what was published."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from hemaline_cloud.audit.blocks import BEFORE_THE_FIRST, FORM, block_hash
from hemaline_cloud.audit.publishing import published_seals
from hemaline_cloud.database.audit_seals import (
    SealRow,
    events_between,
    seals_after,
    settled,
    unsealed_since,
)
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.objects.store import ObjectStore

_SEALS_AT_ONCE = 500
_SEALED_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class FalseBlock:
    """The first block that is not as it was sealed, and what is wrong with it."""

    number: int
    fault: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Attributes:
        blocks: That are true, from the first on.
        events: In them.
        false_block: The first that is not.
        unsealed: Events in no block yet.
        overdue: When the first of them was written, where a sealer would have sealed it by now.
    """

    blocks: int
    events: int
    false_block: FalseBlock | None
    unsealed: int
    overdue: datetime | None


def verify(engine: Engine, store: ObjectStore) -> Verification:
    """Prove the chain against its events and against what was published of it.

    Raises:
        TransientError: The database or the object store is away.
    """
    published = published_seals(store)
    with unit_of_work(engine) as connection:
        previous, events = None, 0
        for seal in _seals(connection):
            fault = _fault(connection, previous, seal, published.get(seal.number, set()))
            if fault:
                return _found(connection, previous, events, FalseBlock(seal.number, fault))
            previous, events = seal, events + seal.events
        return _found(connection, previous, events, _missing(previous, published))


def _seals(connection: Connection) -> Iterator[SealRow]:
    number = -1
    while few := seals_after(connection, number, _SEALS_AT_ONCE):
        yield from few
        number = few[-1].number


def _fault(
    connection: Connection, previous: SealRow | None, seal: SealRow, published: set[str]
) -> str | None:
    """Say what is wrong with a block, or None."""
    if fault := _fault_of_place(previous, seal):
        return fault
    events = events_between(connection, seal.since, seal.until)
    if len(events) != seal.events:
        return f"it holds {len(events)} events, and {seal.events} were sealed"
    if block_hash(previous.hash if previous else BEFORE_THE_FIRST, seal, events) != seal.hash:
        return "an event or the seal itself is not as it was sealed"
    if published - {seal.hash}:
        return f"the object store has another seal of it: {', '.join(sorted(published))}"
    return None


def _fault_of_place(previous: SealRow | None, seal: SealRow) -> str | None:
    expected = previous.number + 1 if previous else 1
    if seal.number != expected:
        return f"block {expected} is not there"
    if seal.since != (previous.until if previous else 0):
        return "it does not begin where the block before it ends"
    if seal.form != FORM:
        return f"its form {seal.form} is unknown to this version"
    return None


def _missing(last: SealRow | None, published: dict[int, set[str]]) -> FalseBlock | None:
    newest = max(published, default=0)
    here = last.number if last else 0
    if newest <= here:
        return None
    return FalseBlock(here + 1, f"it is not there, and blocks up to {newest} were published")


def _found(
    connection: Connection, last: SealRow | None, events: int, false_block: FalseBlock | None
) -> Verification:
    unsealed, oldest = (
        (0, None) if false_block else unsealed_since(connection, last.until if last else 0)
    )
    late = oldest is not None and settled(connection).at - oldest > _SEALED_WITHIN
    return Verification(
        blocks=last.number if last else 0,
        events=events,
        false_block=false_block,
        unsealed=unsealed,
        overdue=oldest if late else None,
    )
