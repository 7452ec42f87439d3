"""What devices were told to do, who asked it, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, insert, select, text, update

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.enrolment import revoke_certificates
from hemaline_cloud.database.schema import Device, DeviceCommand
from hemaline_cloud.fleet.commands import (
    OPEN,
    SENT,
    CommandState,
    after_result,
    check_approval,
    check_withdrawal,
    first_state,
)
from hemaline_cloud.principal import Principal
from hemaline_shared.device_commands import VERBS, Arguments, Command, CommandResult
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id
from hemaline_shared.topics import DeviceName

MOST_OPEN = 50
_SUBJECT = "device-command"


@dataclass(frozen=True, slots=True)
class NewCommand:
    """What somebody asks; see `VERBS` for what belongs to each verb."""

    name: DeviceName
    verb: str
    arguments: Arguments
    why: str
    lasts: timedelta | None = None
    """None: as long as the verb's rules say."""
    slide_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command as it stands."""

    command_id: UUID
    site: str
    device: str
    verb: str
    arguments: dict[str, Any]
    slide_id: UUID | None
    why: str
    asked_by: str
    asked_by_name: str
    asked_at: datetime
    expires_at: datetime
    approved_by_name: str | None
    approved_at: datetime | None
    state: CommandState
    sent_at: datetime | None
    changed_at: datetime
    reason: str | None
    detail: str | None
    lines: list[str] | None

    @property
    def name(self) -> DeviceName:
        """The device."""
        return DeviceName(self.site, self.device)


_COLUMNS = tuple(getattr(DeviceCommand, name) for name in CommandRow.__dataclass_fields__)


def add_command(connection: Connection, who: Principal, new: NewCommand) -> CommandRow:
    """Ask a device to do something; where it needs a second operator, it waits for one.

    The caller audits it.

    Raises:
        PermanentError: `too-many-commands`.
    """
    site, device = new.name.site, new.name.device
    lock = text("select pg_advisory_xact_lock(hashtext('commands of ' || :name))")
    connection.execute(lock, {"name": str(new.name)})
    open_ones = select(func.count()).where(
        DeviceCommand.site == site, DeviceCommand.device == device, DeviceCommand.state.in_(OPEN)
    )
    if (connection.scalar(open_ones) or 0) >= MOST_OPEN:
        raise PermanentError(
            "too-many-commands", f"{new.name} has {MOST_OPEN} commands open: they come first."
        )
    lasts = VERBS[new.verb].lasts if new.lasts is None else new.lasts
    command_id = new_id()
    row = {
        "command_id": command_id,
        "site": site,
        "device": device,
        "verb": new.verb,
        "arguments": new.arguments.model_dump(mode="json", exclude_none=True),
        "slide_id": new.slide_id,
        "why": new.why,
        "asked_by": who.id,
        "asked_by_name": who.name,
        "expires_at": datetime.now(UTC) + lasts,
        "state": first_state(new.verb),
    }
    connection.execute(insert(DeviceCommand).values(row))
    return find_command(connection, command_id)


def event_of(action: str, row: CommandRow, said: str = "") -> Event:
    """Return what the audit keeps: no argument, for one may be the name of a slide."""
    detail = f"{row.name}, {row.verb}" + (f": {said}" if said else "")
    return Event(action, _SUBJECT, row.command_id, detail, row.site, row.slide_id)


def find_command(connection: Connection, command_id: UUID) -> CommandRow:
    """Return a command; nobody else changes it in this transaction.

    Raises:
        PermanentError: `no-such-command`.
    """
    wanted = select(*_COLUMNS).where(DeviceCommand.command_id == command_id)
    row = connection.execute(wanted.with_for_update(of=DeviceCommand)).mappings().one_or_none()
    if row is None:
        raise PermanentError("no-such-command", f"There is no command {command_id}.")
    return _row(row)


def commands_of(connection: Connection, name: DeviceName, limit: int) -> list[CommandRow]:
    """Return a device's commands, the newest first."""
    wanted = (
        select(*_COLUMNS)
        .where(DeviceCommand.site == name.site, DeviceCommand.device == name.device)
        .order_by(DeviceCommand.command_id.desc())
        .limit(limit)
    )
    return [_row(row) for row in connection.execute(wanted).mappings()]


def requests_of(connection: Connection, slide_id: UUID) -> list[CommandRow]:
    """Return what readers have asked for a slide, the newest first; as far as one may know it."""
    wanted = (
        select(*_COLUMNS)
        .where(DeviceCommand.slide_id == slide_id)
        .order_by(DeviceCommand.command_id.desc())
    )
    return [_row(row) for row in connection.execute(wanted).mappings()]


def approve_command(connection: Connection, who: Principal, row: CommandRow) -> CommandRow:
    """Let a device do what a second operator agrees to; raises as `check_approval`."""
    now = datetime.now(UTC)
    check_approval(row.state, row.asked_by, who.id, row.expires_at, now)
    approved = {"approved_by": who.id, "approved_by_name": who.name, "approved_at": now}
    return _change(connection, row, "open", **approved)


def withdraw_command(connection: Connection, row: CommandRow) -> CommandRow:
    """Take a command back that awaits approval; raises as `check_withdrawal`."""
    check_withdrawal(row.state)
    return _change(connection, row, "withdrawn")


def record_result(
    connection: Connection, who: Principal, name: DeviceName, result: CommandResult
) -> None:
    """Keep what a device says of a command of its own; anything else is passed over."""
    try:
        row = find_command(connection, result.command_id)
    except PermanentError:
        return
    state = after_result(row.state, result.outcome) if row.name == name else None
    if state is None:
        return
    lines = list(result.lines) or None
    _change(connection, row, state, reason=result.reason, detail=result.detail, lines=lines)
    if state not in OPEN:
        record_event(connection, who, event_of("end", row, result.reason or state))
    if row.verb == "decommission" and state == "done":
        for certificate_id in revoke_certificates(connection, name):
            detail = f"decommissioned by command {row.command_id}"
            event = Event("revoke", "device-certificate", certificate_id, detail, name.site)
            record_event(connection, who, event)


def end_expired(connection: Connection, who: Principal) -> None:
    """Let end what nobody has done in its time."""
    ended = (
        update(DeviceCommand)
        .where(DeviceCommand.state.in_(OPEN), DeviceCommand.expires_at <= func.clock_timestamp())
        .values(state="expired", reason="expired", changed_at=func.clock_timestamp())
        .returning(*_COLUMNS)
    )
    for row in connection.execute(ended).mappings().all():
        record_event(connection, who, event_of("end", _row(row), "expired"))


def commands_to_send(connection: Connection) -> list[tuple[CommandRow, int]]:
    """Return what devices are to be told, oldest first, and each one's session (0: never seen)."""
    wanted = (
        select(*_COLUMNS, func.coalesce(Device.session, 0).label("session"))
        .outerjoin(
            Device, (Device.site == DeviceCommand.site) & (Device.device == DeviceCommand.device)
        )
        .where(DeviceCommand.state.in_(SENT))
        .order_by(DeviceCommand.command_id)
    )
    return [(_row(row), row["session"]) for row in connection.execute(wanted).mappings()]


def note_sent(connection: Connection, command_ids: Sequence[UUID]) -> None:
    """Note when commands were first handed to the broker."""
    connection.execute(
        update(DeviceCommand)
        .where(DeviceCommand.command_id.in_(command_ids), DeviceCommand.sent_at.is_(None))
        .values(sent_at=func.clock_timestamp())
    )


def message_of(row: CommandRow) -> Command:
    """Return what travels: not why, for that is written freely."""
    return Command(
        command_id=row.command_id,
        verb=row.verb,
        arguments=row.arguments,
        asked_by=row.asked_by_name[:100],
        sent_at=datetime.now(UTC),
        expires_at=row.expires_at,
    )


def _change(
    connection: Connection, row: CommandRow, state: CommandState, **values: object
) -> CommandRow:
    changed = {"state": state, "changed_at": func.clock_timestamp()} | values
    connection.execute(
        update(DeviceCommand).where(DeviceCommand.command_id == row.command_id).values(changed)
    )
    return find_command(connection, row.command_id)


def _row(row: RowMapping) -> CommandRow:
    return CommandRow(**{name: row[name] for name in CommandRow.__dataclass_fields__})
