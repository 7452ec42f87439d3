"""`hemaline-cloud devices commands | command | approve | withdraw`: from a terminal."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.audit import record_event
from hemaline_cloud.database.device_commands import (
    CommandRow,
    NewCommand,
    add_command,
    approve_command,
    commands_of,
    event_of,
    find_command,
    withdraw_command,
)
from hemaline_cloud.database.operators import operator_transaction
from hemaline_cloud.database.reading.devices import get_device
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.device_commands import LONGEST, VERBS, read_arguments
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from hemaline_shared.topics import DeviceName

_Print = Callable[[str], None]
_SHOWN = 50


def show_commands(settings: DatabaseSettings, name: DeviceName, echo: _Print) -> None:
    """Print what a device was told, the newest first: a line each, its parts parted by tabs."""
    with operator_transaction(settings) as connection:
        rows = commands_of(connection, name, _SHOWN)
    for row in rows:
        at = row.asked_at.isoformat(timespec="seconds")
        said = row.detail or row.reason or ""
        parts = [str(row.command_id), at, row.verb, row.state, row.asked_by_name, said]
        echo("\t".join(parts).rstrip())
        for line in row.lines or ():
            echo(f"  {line}")


def ask_device(settings: DatabaseSettings, new: NewCommand, echo: _Print) -> None:
    """Let a device do something; print the command's id, and whether somebody must approve it.

    Raises:
        PermanentError: `unknown-device`, `bad-time` or `too-many-commands`.
    """
    if new.lasts is not None and not timedelta(minutes=1) <= new.lasts <= LONGEST:
        raise PermanentError("bad-time", f"a command lasts a minute to {LONGEST.days} days")
    who = operator(operator_name())
    with operator_transaction(settings) as connection:
        if get_device(connection, new.name.site, new.name.device) is None:
            raise PermanentError("unknown-device", f"there is no device {new.name}")
        row = add_command(connection, who, new)
        record_event(connection, who, event_of("command", row, new.why))
    waits = row.state == "awaiting-approval"
    echo(f"{row.command_id}\t{row.state}" + (", by another operator" if waits else ""))


def decide(
    settings: DatabaseSettings, name: DeviceName, command_id: UUID, action: str, echo: _Print
) -> None:
    """`approve` or `withdraw` what another operator, or oneself, has asked.

    Raises:
        PermanentError: `no-such-command`, or as `check_approval` and `check_withdrawal`.
    """
    who = operator(operator_name())
    with operator_transaction(settings) as connection:
        row = _of_device(connection, name, command_id)
        if action == "approve":
            row = approve_command(connection, who, row)
        else:
            row = withdraw_command(connection, row)
        record_event(connection, who, event_of(action, row))
    echo(f"{row.command_id}\t{row.state}")


def new_command(
    name: DeviceName, verb: str, said: dict[str, object], why: str, lasts: timedelta | None
) -> NewCommand:
    """Read what was typed.

    Raises:
        PermanentError: `no-reason`, `of-a-slide`, or as `read_arguments`.
    """
    if not why.strip():
        raise PermanentError("no-reason", "say why with --why: it is kept")
    if verb in VERBS and VERBS[verb].is_request:
        raise PermanentError("of-a-slide", f"{verb} is asked for by who reads the slide")
    return NewCommand(name, verb, read_arguments(verb, said), why.strip(), lasts)


def _of_device(connection: Connection, name: DeviceName, command_id: UUID) -> CommandRow:
    row = find_command(connection, command_id)
    if row.name != name:
        raise PermanentError("no-such-command", f"{name} has no command {command_id}.")
    return row
