"""From settings to a spool."""

from hemaline_edge.settings import SpoolSettings
from hemaline_edge.spool.spool import Spool


def open_spool(settings: SpoolSettings) -> Spool:
    """Open the spool for writing; raises as `Spool`."""
    return Spool(settings.path, settings.quota_bytes, settings.disk_floor_bytes)
