"""What a device says of itself: birth and Last Will of one session, and telemetry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from hemaline_edge.spool.records import Contents, Counts, KeptFile
from hemaline_shared.messages import Status, Telemetry, encode
from hemaline_shared.mqtt import Will
from hemaline_shared.topics import Channel, DeviceName

EDGE_VERSION = version("hemaline")


def last_will(name: DeviceName, session: int) -> Will:
    """Return what the broker is to say, retained, when this session ends without a word."""
    return Will(name.topic(Channel.STATUS), status(session, online=False))


def status(session: int, *, online: bool) -> bytes:
    """Return the status message of a session."""
    return encode(
        Status(online=online, session=session, edge_version=EDGE_VERSION, at=datetime.now(UTC))
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of a telemetry among all of a device: the session, and the how manieth in it."""

    session: int
    number: int = 0


def telemetry(
    counts: Counts,
    contents: Contents,
    turn: Turn,
    quota_bytes: int,
    disk_free_bytes: int,
    *,
    unreadable: int = 0,
    kept: Sequence[KeptFile] = (),
    problems: tuple[str, ...] = (),
) -> bytes:
    """Return the telemetry message: counters of the device's life, and what waits."""
    return encode(
        Telemetry(
            at=datetime.now(UTC),
            session=turn.session,
            captured=counts.captured,
            rejected=counts.rejected,
            quarantined=counts.quarantined,
            receipted=counts.receipted,
            refused=counts.refused,
            spool_frames=contents.frames,
            spool_bytes=contents.size,
            spool_quota_bytes=quota_bytes,
            oldest_spooled_at=contents.oldest_at,
            disk_free_bytes=disk_free_bytes,
            spool_unreadable=unreadable,
            spool_kept=len(kept),
            spool_kept_bytes=sum(file.size for file in kept),
            problems=problems,
            number=turn.number,
        )
    )


def client_id(name: DeviceName, suffix: str = "") -> str:
    """Return a device's MQTT client id; names hold no dot, so no two devices share one."""
    return f"edge.{name.site}.{name.device}{suffix}"
