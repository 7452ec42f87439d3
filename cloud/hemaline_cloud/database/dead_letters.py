"""Dead letters: messages that no retry can help, each with its reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.schema import DeadLetter


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


def bury(connection: Connection, letters: Sequence[DeadLetterRow]) -> None:
    """Record dead letters; one that is there already keeps its first reason."""
    if letters:
        rows = [letter._asdict() for letter in letters]
        connection.execute(insert(DeadLetter).on_conflict_do_nothing(), rows)
