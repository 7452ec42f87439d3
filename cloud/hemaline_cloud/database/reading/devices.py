"""Devices, to be listed and looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, tuple_

from hemaline_cloud.database.devices import NEVER_CONNECTED
from hemaline_cloud.database.schema import Device
from hemaline_cloud.fleet import state
from hemaline_cloud.fleet.attention import TWICE_WITHIN, Condition
from hemaline_cloud.fleet.baseline import Baseline
from hemaline_cloud.fleet.state import DeviceFacts, DeviceState


class DeviceKey(NamedTuple):
    """A device's place in the list."""

    site: str
    device: str


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device as it last told of itself, and this server's time when that was read."""

    site: str
    device: str
    online: bool
    stopped: bool
    session: int
    edge_version: str
    status_at: datetime
    telemetry: dict[str, Any] | None
    telemetry_at: datetime | None
    capture_at: datetime | None
    receipt_at: datetime | None
    twins: int
    twin_at: datetime | None
    now: datetime

    @property
    def key(self) -> DeviceKey:
        """Where the next page starts after this device."""
        return DeviceKey(self.site, self.device)

    @property
    def told(self) -> dict[str, Any]:
        """Its last telemetry; empty: it has told none."""
        return self.telemetry or {}

    @property
    def connection(self) -> state.Connection:
        """How its last session stands."""
        if self.session == NEVER_CONNECTED:
            return "never-seen"
        if self.online:
            return "connected"
        return "stopped" if self.stopped else "lost"

    @property
    def state(self) -> DeviceState:
        """What it is doing."""
        return state.state_of(self._facts(), self.now)

    @property
    def clock_ahead_s(self) -> float | None:
        """By how much its clock was ahead when it last told; None: it has not."""
        at = self.told.get("at")
        if at is None or self.telemetry_at is None:
            return None
        return round((datetime.fromisoformat(at) - self.telemetry_at).total_seconds(), 1)

    def condition(self, baselines: Mapping[str, Baseline]) -> Condition:
        """Return how it was when it last told, with what is kept of its pictures."""
        told, ahead_s = self.told, self.clock_ahead_s
        return Condition(
            connection=self.connection,
            capture_age=None if self.capture_at is None else self.now - self.capture_at,
            waiting_age=None if self.waiting_since is None else self.now - self.waiting_since,
            spool_bytes=told.get("spool_bytes", 0) + told.get("spool_kept_bytes", 0),
            quota_bytes=told.get("spool_quota_bytes", 0),
            disk_free_bytes=told.get("disk_free_bytes"),
            clock_ahead=None if ahead_s is None else timedelta(seconds=ahead_s),
            temperature_c=told.get("temperature_c"),
            baselines=baselines,
            twins=self.twins if self.twin_at and self.now - self.twin_at < TWICE_WITHIN else 0,
        )

    @property
    def waiting_since(self) -> datetime | None:
        """Since when the oldest frame of its spool waits, by this server's clock; None: none."""
        oldest, at = self.told.get("oldest_spooled_at"), self.told.get("at")
        if oldest is None or at is None or self.telemetry_at is None:
            return None
        waited = datetime.fromisoformat(at) - datetime.fromisoformat(oldest)
        return self.telemetry_at - max(waited, timedelta())

    def _facts(self) -> DeviceFacts:
        period_s, wait_s = self.told.get("period_s"), self.told.get("receipt_wait_s")
        return DeviceFacts(
            connection=self.connection,
            connection_at=self.status_at,
            telemetry_at=self.telemetry_at,
            capture_at=self.capture_at,
            receipt_at=self.receipt_at,
            receipt_wait=None if wait_s is None else timedelta(seconds=wait_s),
            period=timedelta(seconds=period_s) if period_s else state.DEFAULT_PERIOD,
            problems=frozenset(self.told.get("problems", ())),
        )


_ROW = (
    Device.site,
    Device.device,
    Device.online,
    Device.stopped,
    Device.session,
    Device.edge_version,
    Device.status_at,
    Device.telemetry,
    Device.telemetry_at,
    Device.capture_at,
    Device.receipt_at,
    Device.twins,
    Device.twin_at,
    func.clock_timestamp().label("now"),
)


def get_device(connection: Connection, site: str, device: str) -> DeviceRow | None:
    """Return one device, or None."""
    query = select(*_ROW).where(Device.site == site, Device.device == device)
    row = connection.execute(query).one_or_none()
    return None if row is None else DeviceRow(*row)


def list_devices(
    connection: Connection, *, limit: int, after: DeviceKey | None = None
) -> list[DeviceRow]:
    """Return at most `limit` devices that follow `after`, by site and name."""
    query = select(*_ROW)
    if after:
        query = query.where(tuple_(Device.site, Device.device) > after)
    query = query.order_by(Device.site, Device.device).limit(limit)
    return [DeviceRow(*row) for row in connection.execute(query)]
