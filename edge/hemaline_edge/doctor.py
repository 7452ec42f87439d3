"""Checks what a run depends on, one finding each, with what to do about it."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hemaline_edge.capture.camera import camera_name, open_camera
from hemaline_edge.capture.listing import FolderListing
from hemaline_edge.capture.manifest import SlideLabels
from hemaline_edge.capture.names import readable
from hemaline_edge.clock import EARLIEST, impossible_time
from hemaline_edge.presence import SpoolState, Turn, client_id, telemetry
from hemaline_edge.settings import CameraSettings, EdgeSettings, FolderSettings
from hemaline_edge.spool.records import Contents, Counts
from hemaline_edge.spool.view import INDEX_NAME, open_view
from hemaline_shared.errors import HemalineError, TransientError
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel

_BROKER_S = 5.0
_REFUSAL_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, and either what is good or what is wrong and to be done."""

    what: str
    good: str
    problem: str | None


def examine(settings: EdgeSettings) -> Iterator[Finding]:
    """Yield a finding for each thing that the agent needs.

    A running agent is not disturbed.
    """
    yield Finding("settings", f"this is device {settings.name}", None)
    yield Finding("names", settings.names_policy, None)
    checks: dict[str, Callable[[EdgeSettings], str]] = {
        "disk": _check_disk,
        "clock": _check_clock,
        "spool": _check_spool,
        "source": _check_source,
        "broker": _check_broker,
    }
    for what, check in checks.items():
        try:
            yield Finding(what, check(settings), None)
        except HemalineError as error:
            yield Finding(what, "", str(error))
        except OSError as error:
            yield Finding(what, "", f"{error.filename or 'it'} cannot be used: {error.strerror}")


def _check_disk(settings: EdgeSettings) -> str:
    spool = settings.spool
    place = _existing(spool.path)
    if not os.access(place, os.W_OK | os.X_OK):
        raise TransientError("disk", f"{place} may not be written by this user: change its owner")
    free = shutil.disk_usage(place).free
    if free < spool.disk_floor_bytes:
        raise TransientError(
            "disk",
            f"{free:,} bytes free at {place}, and spool.disk_floor_bytes wants "
            f"{spool.disk_floor_bytes:,}: make room, nothing is captured until then",
        )
    return f"{free:,} bytes free at {place}"


def _check_clock(settings: EdgeSettings) -> str:
    now = datetime.now(UTC)
    if problem := impossible_time(now):
        raise TransientError("clock", problem)
    latest = EARLIEST
    if (settings.spool.path / INDEX_NAME).exists():
        view = open_view(settings.spool.path)
        latest = max([latest, *(slide.last_frame_at for slide in view.slides())])
        view.close()
    if now < latest:
        raise TransientError(
            "clock",
            f"it says {now:%Y-%m-%d %H:%M} UTC, which is before {latest:%Y-%m-%d %H:%M}: set it, "
            "best by NTP; times of capture come from it",
        )
    return f"{now:%Y-%m-%d %H:%M} UTC"


def _check_spool(settings: EdgeSettings) -> str:
    if not (settings.spool.path / INDEX_NAME).exists():
        return "none yet; the first run makes it"
    view = open_view(settings.spool.path)
    try:
        if problems := view.index_problems():
            raise TransientError(
                "spool",
                f"its index is damaged ({problems[0]}): stop the agent and move "
                f"{settings.spool.path} aside for recovery",
            )
        contents, quarantined = view.contents(), view.counts().quarantined
    finally:
        view.close()
    return f"whole; {contents.frames} frames wait, {quarantined} quarantined since the first day"


def _check_source(settings: EdgeSettings) -> str:
    source = settings.source
    if isinstance(source, FolderSettings):
        return _check_folder(source)
    if isinstance(source, CameraSettings):
        return _check_camera(source)
    return "simulated"


def _check_folder(source: FolderSettings) -> str:
    root = source.path.resolve()
    listing = FolderListing(root)
    listing.sweep()
    files = [path for path, _ in listing.files()]
    mismatch = SlideLabels(root, source.slide_column).mismatch(files)
    if mismatch:
        missing = ", ".join(readable(row.file) for row in mismatch.rows_without_file[:5])
        named = f" (not there: {missing})" if missing else ""
        raise TransientError("source", f"{mismatch}{named}: correct the list or the files' names")
    return f"{source.path} can be read and holds {len(files)} files that may be images"


def _check_camera(source: CameraSettings) -> str:
    stream = open_camera(source)
    try:
        image = stream.retrieve() if stream.grab() else None
    finally:
        stream.close()
    name = camera_name(source)
    if image is None:
        raise TransientError(
            "camera", f"camera {name} opens but gives no whole picture: restart it"
        )
    return f"camera {name} gives {image.shape[1]} x {image.shape[0]} pixels"


def _check_broker(settings: EdgeSettings) -> str:
    refusals: list[str] = []
    listener = Listener(
        on_message=lambda _inbound: None,
        on_refused=lambda _token, reason: refusals.append(reason),
    )
    link = MqttLink(
        settings.broker,
        client_id(settings.name, ".doctor"),
        listener,
        subscriptions=(settings.name.topic(Channel.RECEIPT),),
    )
    link.start()
    try:
        if not link.wait_connected(_BROKER_S):
            raise TransientError(
                "broker", f"{link.problem()}: check its address, the network and the certificates"
            )
        _publish_as_ourselves(link, settings)
        deadline = time.monotonic() + _REFUSAL_S
        while time.monotonic() < deadline and not refusals:
            time.sleep(0.05)
    finally:
        link.stop()
    if refusals:
        raise TransientError(
            "broker",
            f"{settings.broker} refuses what we publish ({refusals[0]}): allow this device's user "
            f"or certificate to write under {settings.name.topic(Channel.FIELD)} and its siblings",
        )
    return f"{settings.broker} takes what we publish as {settings.name}"


def _publish_as_ourselves(link: MqttLink, settings: EdgeSettings) -> None:
    """Publish telemetry, which is true and harms nobody."""
    counts, contents, session = Counts(0, 0, 0, 0, 0), Contents(0, 0, 0, None), 0
    if (settings.spool.path / INDEX_NAME).exists():
        view = open_view(settings.spool.path)
        counts, contents, session = view.counts(), view.contents(), view.session()
        view.close()
    free = shutil.disk_usage(_existing(settings.spool.path)).free
    state = SpoolState(counts, contents, settings.spool.quota_bytes, free)
    payload = telemetry(Turn(session), state)
    link.publish(settings.name.topic(Channel.TELEMETRY), payload)


def _existing(path: Path) -> Path:
    """Return the nearest folder above that is there already."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    return place
