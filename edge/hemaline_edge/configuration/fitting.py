"""Whether this device can do what a configuration asks, and its settings then."""

from hemaline_edge.settings import CameraSettings, EdgeSettings, SimulatorSettings
from hemaline_shared.device_configuration import DeviceConfiguration
from hemaline_shared.errors import PermanentError


def configured(own: EdgeSettings, asked: DeviceConfiguration) -> EdgeSettings:
    """Return the device's own settings with what is asked in their place.

    Raises:
        PermanentError: `does-not-fit`: its source has no interval.
    """
    changed: dict[str, object] = {}
    if asked.spool_quota_bytes is not None:
        spool = own.spool.model_copy(update={"quota_bytes": asked.spool_quota_bytes})
        changed["spool"] = spool
    if asked.quality is not None:
        limits = own.quality.model_copy(update=asked.quality.model_dump(exclude_none=True))
        changed["quality"] = limits
    if asked.capture_interval_s is not None:
        if not _has_interval(own):
            raise PermanentError(
                "does-not-fit",
                f"capture_interval_s: this device's source is a {own.source.kind} that sets its "
                "own pace; leave it out for this device",
            )
        source = own.source.model_copy(update={"interval_s": asked.capture_interval_s})
        changed["source"] = source
    if asked.telemetry_s is not None:
        changed["telemetry_s"] = asked.telemetry_s
    if asked.log_level is not None:
        changed["log_level"] = asked.log_level
    return own.model_copy(update=changed)


def check_disk(settings: EdgeSettings, held_bytes: int, free_bytes: int) -> None:
    """Refuse a quota for which there is no room.

    Args:
        settings: As they would be.
        held_bytes: What the spool holds now.
        free_bytes: On its disk.

    Raises:
        PermanentError: `quota-over-disk`.
    """
    quota, floor = settings.spool.quota_bytes, settings.spool.disk_floor_bytes
    most = max(0, held_bytes + free_bytes - floor)
    if quota > most:
        raise PermanentError(
            "quota-over-disk",
            f"spool_quota_bytes: {quota:,} do not fit: the disk has room for {most:,} with its "
            f"floor of {floor:,}",
        )


def _has_interval(own: EdgeSettings) -> bool:
    source = own.source
    live = isinstance(source, CameraSettings) and not source.is_file
    return live or isinstance(source, SimulatorSettings)
