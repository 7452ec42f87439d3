"""All devices with what is kept of them: for the page, the API and the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from hemaline_cloud.database.device_history import baselines_of
from hemaline_cloud.database.reading.devices import DeviceRow, list_devices
from hemaline_cloud.fleet.attention import Attention, attention_of
from hemaline_cloud.fleet.baseline import Baseline
from hemaline_cloud.fleet.metrics import MeasuredDevice
from hemaline_cloud.fleet.state import DeviceState


@dataclass(frozen=True, slots=True)
class FleetDevice:
    """A device, what it is doing, and why it wants a look."""

    row: DeviceRow
    state: DeviceState
    attention: frozenset[Attention]
    baselines: dict[str, Baseline] = field(default_factory=dict)

    @property
    def measured(self) -> MeasuredDevice:
        """As the metrics show it."""
        row = self.row
        return MeasuredDevice(
            site=row.site,
            device=row.device,
            word=self.state.word,
            attention=self.attention,
            edge_version=row.edge_version,
            moments={
                "connection": None if row.connection == "never-seen" else row.status_at,
                "telemetry": row.telemetry_at,
                "capture": row.capture_at,
                "receipt": row.receipt_at,
                "oldest-waiting": row.waiting_since,
            },
            told=row.told,
            clock_ahead_s=row.clock_ahead_s,
            drifts={
                measure: baseline.drift
                for measure, baseline in self.baselines.items()
                if baseline.drift is not None
            },
        )


def fleet_of(connection: Connection, rows: Sequence[DeviceRow]) -> list[FleetDevice]:
    """Join devices with what is kept of their pictures: one more query, however many they are."""
    baselines = baselines_of(connection, [row.key for row in rows]) if rows else {}
    found = []
    for row in rows:
        own = baselines.get(row.key, {})
        found.append(FleetDevice(row, row.state, attention_of(row.condition(own)), own))
    return found


def whole_fleet(connection: Connection, limit: int) -> list[FleetDevice]:
    """Return at most `limit` devices, by site and name."""
    return fleet_of(connection, list_devices(connection, limit=limit))
