"""Devices as their status and telemetry last told of them.

When something was heard goes by this server's clock: a device's own orders nothing, for it may be
set forward, back, or not at all.
"""

from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.device_history import add_changes, add_to_hour
from hemaline_cloud.database.schema import Device
from hemaline_cloud.fleet.attention import TWICE_WITHIN
from hemaline_cloud.fleet.changes import Change, changes_of_status, changes_of_telemetry
from hemaline_cloud.fleet.order import (
    KnownSession,
    is_newer_status,
    is_newer_telemetry,
    is_of_another_agent,
    is_other_spool,
    shows_connected,
)
from hemaline_shared.errors import TransientError
from hemaline_shared.messages import Status, Telemetry
from hemaline_shared.topics import DeviceName

_Known: TypeAlias = Row[Any]
_MOST_TWINS = 1_000_000
_EARLIER_SPOOLS = 50
"""A device that loses its spool at each start would else make its row longer for ever."""


NEVER_CONNECTED = 0
"""The session of a device that enrolled and was never heard; an agent's first is 1."""


def add_enrolled(connection: Connection, name: DeviceName) -> None:
    """List a device from its enrolment on, so that one that never calls is seen to be missing."""
    row = {
        "site": name.site,
        "device": name.device,
        "online": False,
        "session": NEVER_CONNECTED,
        "edge_version": "",
        "status_at": func.clock_timestamp(),
    }
    connection.execute(insert(Device).values(row).on_conflict_do_nothing())


def record_status(connection: Connection, name: DeviceName, told: Status) -> None:
    """Record a birth, a stop or a Last Will, unless something newer of the device was heard.

    Raises:
        TransientError: `overtaken`.
    """
    known = _lock(connection, name)
    values = {
        "online": told.online,
        "stopped": told.stopped,
        "session": told.session,
        "edge_version": told.edge_version,
        "status_at": func.clock_timestamp(),
    }
    if told.online:
        values |= {"born_at": told.at, "address": told.address}
    if known is None:
        _insert(connection, name, values | {"spool_id": told.spool_id})
        add_changes(connection, name, changes_of_status(told, None, has_new_spool=False))
    elif is_newer_status(_session(known), told):
        spool = _spool(known, told.spool_id)
        _update(connection, name, values | spool)
        has_new_spool = bool(spool and known.spool_id)
        version = known.edge_version or None
        changes = changes_of_status(told, version, has_new_spool=has_new_spool)
        add_changes(connection, name, changes)
    elif is_of_another_agent(_session(known), told):
        _add_twin(connection, name, known, told)


def _add_twin(connection: Connection, name: DeviceName, known: _Known, told: Status) -> None:
    """Count a birth of another agent; the first of an hour is told with both addresses."""
    is_first = known.twin_at is None or known.now - known.twin_at >= TWICE_WITHIN
    twins = 1 if is_first else min(known.twins + 1, _MOST_TWINS)
    _update(connection, name, {"twins": twins, "twin_at": known.now})
    if is_first:
        addresses = " and ".join(
            each or "an unknown address" for each in (known.address, told.address)
        )
        add_changes(connection, name, [Change("another-agent", addresses)])


def record_telemetry(connection: Connection, name: DeviceName, told: Telemetry) -> None:
    """Record telemetry that is newer than what is known, of a device whose birth was heard."""
    known = _lock(connection, name)
    if known is None or not is_newer_telemetry(_session(known), known.telemetry, told):
        return
    now: datetime = known.now
    values: dict[str, Any] = {
        "telemetry": told.model_dump(mode="json"),
        "telemetry_at": now,
        "capture_at": _moment(known, told, "captured", known.capture_at, told.capture_age_s),
        "receipt_at": _moment(known, told, "receipted", known.receipt_at, told.receipt_age_s),
    }
    if shows_connected(_session(known), told, now):
        values |= {"online": True, "stopped": False, "session": told.session, "status_at": now}
    _update(connection, name, values | _spool(known, told.spool_id))
    _keep(connection, name, known, told)


def _keep(connection: Connection, name: DeviceName, known: _Known, told: Telemetry) -> None:
    """Keep of telemetry what timeline and charts show."""
    before = known.telemetry or {}
    heard_at = max(known.status_at, known.telemetry_at or known.status_at)
    problems = frozenset(before.get("problems", ()))
    add_changes(connection, name, changes_of_telemetry(told, problems, heard_at, known.now))
    counted = before.get("captured", told.captured)
    grown = told.captured - counted
    add_to_hour(
        connection,
        name,
        captured=grown if grown >= 0 else told.captured,  # of an emptied spool, which counts anew
        spool_frames=told.spool_frames,
        spool_bytes=told.spool_bytes,
    )


def _lock(connection: Connection, name: DeviceName) -> _Known | None:
    """Read a device and keep others from changing it until this transaction ends."""
    query = select(
        Device.online,
        Device.stopped,
        Device.session,
        Device.edge_version,
        Device.spool_id,
        Device.earlier_spools,
        Device.status_at,
        Device.telemetry,
        Device.telemetry_at,
        Device.capture_at,
        Device.receipt_at,
        Device.born_at,
        Device.address,
        Device.twins,
        Device.twin_at,
        func.clock_timestamp().label("now"),
    ).where(Device.site == name.site, Device.device == name.device)
    return connection.execute(query.with_for_update()).one_or_none()


def _session(known: _Known) -> KnownSession:
    return KnownSession(
        spool_id=known.spool_id,
        earlier_spools=known.earlier_spools,
        session=known.session,
        ended_at=None if known.online else known.status_at,
        stopped=known.stopped,
        born_at=known.born_at,
    )


def _spool(known: _Known, spool_id: int) -> dict[str, Any]:
    """Return what changes where a device has another spool than before."""
    if not is_other_spool(_session(known), spool_id):
        return {}
    earlier = [*known.earlier_spools, known.spool_id] if known.spool_id else []
    return {"spool_id": spool_id, "earlier_spools": earlier[-_EARLIER_SPOOLS:]}


def _moment(
    known: _Known, told: Telemetry, counter: str, before: datetime | None, age_s: float | None
) -> datetime | None:
    """Return when something last happened: as its age tells, or else when its counter grew."""
    now: datetime = known.now
    if age_s is not None:
        at = now - timedelta(seconds=age_s)
        return max(at, before) if before else at
    count: int = getattr(told, counter)
    counted = known.telemetry.get(counter, 0) if known.telemetry else None
    return now if counted is not None and count > counted else before


def _insert(connection: Connection, name: DeviceName, values: dict[str, Any]) -> None:
    row = {"site": name.site, "device": name.device, **values}
    if not connection.execute(insert(Device).values(row).on_conflict_do_nothing()).rowcount:
        raise TransientError("overtaken", f"another ingest recorded {name} meanwhile")


def _update(connection: Connection, name: DeviceName, values: dict[str, Any]) -> None:
    connection.execute(
        update(Device)
        .where(Device.site == name.site, Device.device == name.device)
        .values(**values)
    )
