"""Dead letters: messages that no retry can help, each with its reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.bulk import insert_rows
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
    insert_rows(connection, DeadLetter, [letter._asdict() for letter in letters])
