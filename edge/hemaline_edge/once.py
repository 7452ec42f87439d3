"""Capture a single frame, for a person who wants to see whether all is set up well."""

from prometheus_client import CollectorRegistry

from hemaline_edge.capture.opening import open_source
from hemaline_edge.capturing import Capturing
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.settings import EdgeSettings
from hemaline_edge.spool.records import NewFrame
from hemaline_edge.spool.spool import open_spool


def capture_one(settings: EdgeSettings, timeout_s: float) -> tuple[bool, str]:
    """Capture one frame into the spool; the next run publishes it.

    Returns:
        Whether the frame is good, and a sentence about it.

    Raises:
        HemalineError: The spool or the source cannot be used.
    """
    spool = open_spool(settings.spool)
    try:
        source = open_source(settings.source, spool)
        metrics = EdgeMetrics(CollectorRegistry())
        capturing = Capturing(settings, source, spool, metrics, lambda: None)
        try:
            return _verdict(capturing.capture_next(timeout_s), timeout_s)
        finally:
            source.close()
    finally:
        spool.close()


def _verdict(frame: NewFrame | None, timeout_s: float) -> tuple[bool, str]:
    if frame is None:
        return False, f"no new frame came within {timeout_s:g} s"
    message = frame.message
    if message.kind == "quarantined":
        return False, f"{frame.origin} cannot be used: {message.detail}"
    if message.kind == "rejected":
        reasons = ", ".join(message.quality.reasons)
        return False, f"{frame.origin} is rejected: {reasons}"
    cells = len(message.cells)
    return True, f"{frame.origin} is good: {cells} white cells; it waits in the spool"
