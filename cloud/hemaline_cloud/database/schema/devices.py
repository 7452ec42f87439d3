"""Devices: what they last told, and what is kept of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base

_ZERO = text("0")


class Device(Base):
    """A device as its status and telemetry last told of it."""

    __tablename__ = "devices"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    online: Mapped[bool]
    session: Mapped[int]
    edge_version: Mapped[str]
    status_at: Mapped[datetime]
    telemetry: Mapped[dict[str, Any] | None]
    telemetry_at: Mapped[datetime | None]
    stopped: Mapped[bool] = mapped_column(server_default=text("false"))
    """Of one that is not `online`: whether it ended in good order."""
    spool_id: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    """The spool that its session is counted in; 0: not told."""
    earlier_spools: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), server_default=text("'{}'")
    )
    born_at: Mapped[datetime | None]
    """When its session began, by its own clock."""
    address: Mapped[str] = mapped_column(server_default=text("''"))
    """By which it reached the broker then."""
    twins: Mapped[int] = mapped_column(server_default=text("0"))
    """Births of another agent under its name, in the hour before `twin_at`."""
    twin_at: Mapped[datetime | None]
    capture_at: Mapped[datetime | None]
    """When it last captured, by this server's clock, as the next one."""
    receipt_at: Mapped[datetime | None]
    """When it last heard a receipt."""


class DeviceChange(Base):
    """One line of a device's timeline; see `hemaline_cloud.fleet.changes`."""

    __tablename__ = "device_changes"
    __table_args__ = (Index("ix_device_changes_site", "site", "device", "change_id"),)

    change_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    kind: Mapped[str]
    detail: Mapped[str]


class DeviceHour(Base):
    """What an hour of this server's clock brought of a device."""

    __tablename__ = "device_hours"
    __table_args__ = (Index("ix_device_hours_hour", "hour"),)

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    captured: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    """How much its counter grew."""
    spool_frames: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    """The most that waited, as the next one."""
    spool_bytes: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    judged: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    """Frames that came and bear what the quality gate measured; the sums are theirs."""
    blur_sum: Mapped[float] = mapped_column(server_default=_ZERO)
    density_sum: Mapped[float] = mapped_column(server_default=_ZERO)


class DeviceFrames(Base):
    """How many frames of a device came in an hour, by what became of them at the microscope."""

    __tablename__ = "device_frames"
    __table_args__ = (Index("ix_device_frames_hour", "hour"),)

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    """`accepted`, `rejected` or `quarantined`."""
    reason: Mapped[str] = mapped_column(primary_key=True)
    """Empty of those that were accepted."""
    frames: Mapped[int] = mapped_column(BigInteger)


class DeviceBaseline(Base):
    """How a measure of a device's pictures usually is; see `hemaline_cloud.fleet.baseline`."""

    __tablename__ = "device_baselines"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    frames: Mapped[int] = mapped_column(BigInteger)
    mean: Mapped[float]
    variance: Mapped[float]
    recent: Mapped[float]
