"""Dead letters: messages that were not taken in, each with its reason, until a verb ends them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.schema import DeadLetter

LetterState: TypeAlias = Literal["refused", "parked", "retried", "discarded"]
WAITING: tuple[LetterState, ...] = ("refused", "parked")


class DeadLetterRow(NamedTuple):
    """One dead letter; its payload lies whole in the object store."""

    dead_letter_id: UUID
    topic: str
    message_id: UUID | None
    reason: str
    detail: str
    object_key: str
    size: int
    received_at: datetime
    state: str = "refused"
    needs_version: int | None = None
    messages: int = 1


_COLUMNS = tuple(getattr(DeadLetter, name) for name in DeadLetterRow._fields)


def write_dead_letter(
    connection: Connection, letter: DeadLetterRow, *, counting: bool = False
) -> None:
    """Record a dead letter; one that waits already keeps its first reason.

    One that was retried or discarded, and comes again, waits again. `counting`: one that waits
    already stands for this message too, and tells of this one from now on.
    """
    new = insert(DeadLetter).values(**letter._asdict())
    told = {name: getattr(new.excluded, name) for name in DeadLetterRow._fields[1:]}
    waits = DeadLetter.state.in_(WAITING)
    if counting:
        told["messages"] = case((waits, DeadLetter.messages + 1), else_=1)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[DeadLetter.dead_letter_id],
            set_=told,
            where=None if counting else ~waits,
        )
    )


def find_dead_letters(
    connection: Connection,
    *,
    states: Sequence[str] = WAITING,
    reason: str | None = None,
    limit: int | None = None,
) -> list[DeadLetterRow]:
    """Return dead letters in some states, newest first; of one reason, if one is named."""
    wanted = (
        select(*_COLUMNS)
        .where(DeadLetter.state.in_(states))
        .order_by(DeadLetter.received_at.desc(), DeadLetter.dead_letter_id.desc())
        .limit(limit)
    )
    if reason is not None:
        wanted = wanted.where(DeadLetter.reason == reason)
    return [DeadLetterRow(*row) for row in connection.execute(wanted)]


def readable_letters(connection: Connection, version: int, limit: int) -> list[DeadLetterRow]:
    """Return parked letters that a reader of this schema version can read, oldest first."""
    wanted = (
        select(*_COLUMNS)
        .where(DeadLetter.state == "parked", DeadLetter.needs_version <= version)
        .order_by(DeadLetter.received_at, DeadLetter.dead_letter_id)
        .limit(limit)
    )
    return [DeadLetterRow(*row) for row in connection.execute(wanted)]


def get_dead_letter(
    connection: Connection, dead_letter_id: UUID, *, lock: bool = False
) -> DeadLetterRow | None:
    """Return one dead letter; `lock` makes another verb on it wait for this transaction."""
    wanted = select(*_COLUMNS).where(DeadLetter.dead_letter_id == dead_letter_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    return DeadLetterRow(*row) if row else None


def count_parked(connection: Connection) -> int:
    """Return how many letters wait for a version that can read them."""
    parked = select(func.count()).select_from(DeadLetter).where(DeadLetter.state == "parked")
    return connection.scalar(parked) or 0


def set_letter_state(
    connection: Connection,
    dead_letter_id: UUID,
    state: LetterState,
    *,
    reason: str | None = None,
    detail: str | None = None,
) -> None:
    """Move a letter to another state; a new reason is what it was refused for this time."""
    changed = {"state": state, "reason": reason, "detail": detail}
    connection.execute(
        update(DeadLetter)
        .where(DeadLetter.dead_letter_id == dead_letter_id)
        .values(**{name: value for name, value in changed.items() if value is not None})
    )
