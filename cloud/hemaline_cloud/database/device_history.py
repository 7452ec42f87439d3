"""What is kept of devices over time: changes, hours, frames by outcome, and how pictures are."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, delete, func, insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.dialects.postgresql.dml import Insert

from hemaline_cloud.database.frames import FrameRow
from hemaline_cloud.database.schema import (
    DeviceBaseline,
    DeviceChange,
    DeviceFrames,
    DeviceHour,
)
from hemaline_cloud.fleet.baseline import MEASURES, Baseline
from hemaline_cloud.fleet.changes import Change
from hemaline_shared.topics import DeviceName

KEPT = timedelta(days=90)

_Device: TypeAlias = tuple[str, str]
_HOUR = func.date_trunc("hour", func.clock_timestamp())


def add_changes(connection: Connection, name: DeviceName, changes: Iterable[Change]) -> None:
    """Add lines to a device's timeline."""
    rows = [
        {"site": name.site, "device": name.device, "kind": change.kind, "detail": change.detail}
        for change in changes
    ]
    if rows:
        connection.execute(insert(DeviceChange), rows)


def add_to_hour(
    connection: Connection, name: DeviceName, *, captured: int, spool_frames: int, spool_bytes: int
) -> None:
    """Add to this hour what telemetry told: captured frames, and the most that waited."""
    row = {
        "site": name.site,
        "device": name.device,
        "hour": _HOUR,
        "captured": captured,
        "spool_frames": spool_frames,
        "spool_bytes": spool_bytes,
    }
    new = upsert(DeviceHour).values(row)
    told = new.excluded
    changed = {
        "captured": DeviceHour.captured + told.captured,
        "spool_frames": func.greatest(DeviceHour.spool_frames, told.spool_frames),
        "spool_bytes": func.greatest(DeviceHour.spool_bytes, told.spool_bytes),
    }
    connection.execute(_on_conflict(new, ("site", "device", "hour"), changed))


def add_frames(connection: Connection, frames: Sequence[FrameRow]) -> None:
    """Count frames that came, and take what the quality gate measured of them.

    Rows are written in one order, so that two transactions never wait for each other.
    """
    if not frames:
        return
    _count_frames(connection, frames)
    measured: defaultdict[_Device, list[Mapping[str, float]]] = defaultdict(list)
    for frame in frames:
        measures = (frame.quality or {}).get("measures", {})
        if all(measure in measures for measure in MEASURES):
            measured[frame.site, frame.device].append(measures)
    if measured:
        _add_measures(connection, dict(sorted(measured.items())))


def discard_old(connection: Connection) -> None:
    """Delete what is older than `KEPT`."""
    before = func.clock_timestamp() - KEPT
    connection.execute(delete(DeviceChange).where(DeviceChange.at < before))
    connection.execute(delete(DeviceHour).where(DeviceHour.hour < before))
    connection.execute(delete(DeviceFrames).where(DeviceFrames.hour < before))


def baselines_of(
    connection: Connection, devices: Iterable[_Device] | None = None, *, lock: bool = False
) -> dict[_Device, dict[str, Baseline]]:
    """Return the measures of devices; None: of all that the principal sees."""
    query = select(DeviceBaseline).order_by(
        DeviceBaseline.site, DeviceBaseline.device, DeviceBaseline.measure
    )
    if devices is not None:
        key = tuple_(DeviceBaseline.site, DeviceBaseline.device)
        query = query.where(key.in_(list(devices)))
    if lock:
        query = query.with_for_update()
    columns = DeviceBaseline.__table__.c
    found: defaultdict[_Device, dict[str, Baseline]] = defaultdict(dict)
    for row in connection.execute(query.with_only_columns(*columns)):
        baseline = Baseline(row.frames, row.mean, row.variance, row.recent)
        found[row.site, row.device][row.measure] = baseline
    return dict(found)


def _count_frames(connection: Connection, frames: Sequence[FrameRow]) -> None:
    counts = Counter(
        (frame.site, frame.device, _outcome(frame.state), frame.reason or "") for frame in frames
    )
    names = ("site", "device", "outcome", "reason")
    rows: list[dict[str, Any]] = [
        {**dict(zip(names, key, strict=True)), "hour": _HOUR, "frames": number}
        for key, number in sorted(counts.items())
    ]
    new = upsert(DeviceFrames).values(rows)
    changed = {"frames": DeviceFrames.frames + new.excluded.frames}
    connection.execute(_on_conflict(new, (*names[:2], "hour", *names[2:]), changed))


def _outcome(state: str) -> str:
    return "accepted" if state == "pending" else state


def _add_measures(
    connection: Connection, measured: Mapping[_Device, Sequence[Mapping[str, float]]]
) -> None:
    hours = [
        {
            "site": site,
            "device": device,
            "hour": _HOUR,
            "judged": len(frames),
            "blur_sum": sum(frame["blur"] for frame in frames),
            "density_sum": sum(frame["density"] for frame in frames),
        }
        for (site, device), frames in measured.items()
    ]
    new = upsert(DeviceHour).values(hours)
    sums = ("judged", "blur_sum", "density_sum")
    added = {name: getattr(DeviceHour, name) + getattr(new.excluded, name) for name in sums}
    connection.execute(_on_conflict(new, ("site", "device", "hour"), added))
    _move_baselines(connection, measured)


def _move_baselines(
    connection: Connection, measured: Mapping[_Device, Sequence[Mapping[str, float]]]
) -> None:
    known = baselines_of(connection, measured, lock=True)
    rows = []
    for (site, device), frames in measured.items():
        for measure in MEASURES:
            baseline = known.get((site, device), {}).get(measure, Baseline())
            for frame in frames:
                baseline = baseline.with_frame(frame[measure])
            rows.append(
                {
                    "site": site,
                    "device": device,
                    "measure": measure,
                    "frames": baseline.frames,
                    "mean": baseline.mean,
                    "variance": baseline.variance,
                    "recent": baseline.recent,
                }
            )
    new = upsert(DeviceBaseline).values(rows)
    moved = {name: getattr(new.excluded, name) for name in ("frames", "mean", "variance", "recent")}
    connection.execute(_on_conflict(new, ("site", "device", "measure"), moved))


def _on_conflict(new: Insert, key: Sequence[str], changed: Mapping[str, Any]) -> Insert:
    return new.on_conflict_do_update(index_elements=list(key), set_=dict(changed))


def hours_since(now: datetime, hours: int) -> datetime:
    """Return the beginning of the first of so many hours, the last of which is now's."""
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours - 1)
