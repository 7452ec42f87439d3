"""The ledger's own audit: what operators did with dead letters and frames; rows are only added."""

import getpass
import socket
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, select

from hemaline_cloud.database.bulk import insert_rows
from hemaline_cloud.database.schema import OperatorAction
from hemaline_shared.ids import new_id

Subject: TypeAlias = Literal["dead-letter", "frame"]


class ActionRow(NamedTuple):
    """One verb that was used on one dead letter or frame."""

    at: datetime
    operator: str
    action: str
    subject: str
    subject_id: UUID
    detail: str


def operator_name() -> str:
    """Return who uses a command, as the machine knows them: `user@host`."""
    try:
        user = getpass.getuser()
    except OSError:  # a container whose user has no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def record_action(
    connection: Connection,
    operator: str,
    action: str,
    subject: Subject,
    subject_id: UUID,
    detail: str,
) -> None:
    """Add a row, in the transaction of what it tells of.

    Args:
        connection: In a transaction.
        operator: `operator_name()`, or the process that did it by itself.
        action: The verb: `retry`, `discard` …
        subject: What kind of thing.
        subject_id: Which.
        detail: Why, or from which state it was taken.
    """
    row = {
        "action_id": new_id(),
        "operator": operator,
        "action": action,
        "subject": subject,
        "subject_id": subject_id,
        "detail": detail,
    }
    insert_rows(connection, OperatorAction, [row])


def actions_on(connection: Connection, subject: Subject, subject_id: UUID) -> list[ActionRow]:
    """Return what was done with a dead letter or frame, oldest first."""
    wanted = (
        select(*(getattr(OperatorAction, name) for name in ActionRow._fields))
        .where(OperatorAction.subject == subject, OperatorAction.subject_id == subject_id)
        .order_by(OperatorAction.action_id)
    )
    return [ActionRow(*row) for row in connection.execute(wanted)]
