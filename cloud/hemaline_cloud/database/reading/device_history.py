"""What is kept of one device: what changed, its hours, its frames, its newest pictures."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from hemaline_cloud.database.reading.ledger import FrameRow, frame_rows
from hemaline_cloud.database.schema import DeviceChange, DeviceFrames, DeviceHour, Frame

_OUTCOMES_OF = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One line of the timeline; see `hemaline_cloud.fleet.changes`."""

    at: datetime
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class HourRow:
    """One hour: frames captured, the most that waited, and the mean blur of the frames judged."""

    hour: datetime
    captured: int = 0
    spool_frames: int = 0
    spool_bytes: int = 0
    blur: float | None = None


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """How many frames came in the last seven days, by what became of them and why."""

    outcome: str
    reason: str
    frames: int


def changes_of_device(
    connection: Connection, site: str, device: str, *, limit: int
) -> list[ChangeRow]:
    """Return what changed of a device, the newest first."""
    query = (
        select(DeviceChange.at, DeviceChange.kind, DeviceChange.detail)
        .where(DeviceChange.site == site, DeviceChange.device == device)
        .order_by(DeviceChange.change_id.desc())
        .limit(limit)
    )
    return [ChangeRow(*row) for row in connection.execute(query)]


def hours_of(connection: Connection, site: str, device: str, hours: int) -> list[HourRow]:
    """Return so many hours, the current one last; those of which nothing is known are empty."""
    this: datetime = connection.execute(
        select(func.date_trunc("hour", func.clock_timestamp()))
    ).scalar_one()
    first = this - timedelta(hours=hours - 1)
    query = select(
        DeviceHour.hour,
        DeviceHour.captured,
        DeviceHour.spool_frames,
        DeviceHour.spool_bytes,
        DeviceHour.blur_sum / func.nullif(DeviceHour.judged, 0),
    ).where(DeviceHour.site == site, DeviceHour.device == device, DeviceHour.hour >= first)
    known = {row[0]: HourRow(*row) for row in connection.execute(query)}
    moments = [first + timedelta(hours=number) for number in range(hours)]
    return [known.get(moment, HourRow(moment)) for moment in moments]


def frames_by_outcome(connection: Connection, site: str, device: str) -> list[OutcomeRow]:
    """Return the frames of the last seven days, the most frequent outcome first."""
    frames = func.sum(DeviceFrames.frames)
    query = (
        select(DeviceFrames.outcome, DeviceFrames.reason, frames)
        .where(
            DeviceFrames.site == site,
            DeviceFrames.device == device,
            DeviceFrames.hour > func.clock_timestamp() - _OUTCOMES_OF,
        )
        .group_by(DeviceFrames.outcome, DeviceFrames.reason)
        .order_by(frames.desc(), DeviceFrames.outcome, DeviceFrames.reason)
    )
    return [
        OutcomeRow(outcome, reason, int(number))
        for outcome, reason, number in connection.execute(query)
    ]


def newest_frames(connection: Connection, site: str, device: str, *, limit: int) -> list[FrameRow]:
    """Return the frames of a device that came last, in the order of their coming."""
    query = (
        frame_rows()
        .where(Frame.site == site, Frame.device == device)
        .order_by(Frame.received_at.desc(), Frame.frame_id.desc())
        .limit(limit)
    )
    return [FrameRow(**row) for row in connection.execute(query).mappings()]
