"""What a device says of itself: birth, stop and Last Will of one session, and telemetry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from hemaline_edge.spool.records import Contents, Counts, KeptFile
from hemaline_shared.messages import Status, Telemetry, encode
from hemaline_shared.mqtt import Will
from hemaline_shared.topics import Channel, DeviceName

EDGE_VERSION = version("hemaline")


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of a message among all of a device.

    Attributes:
        session: The connection to the broker.
        number: Of telemetry: the how manieth in the session.
        spool_id: The spool that sessions are counted in.
    """

    session: int
    number: int = 0
    spool_id: int = 0


@dataclass(frozen=True, slots=True)
class Ages:
    """How long ago things happened, in seconds, by a clock that nobody can set.

    Attributes:
        capture: A frame became durable; None: not since the start.
        receipt: The cloud answered; None: not since the start.
        receipt_wait: The broker took a message, and no receipt came since; None: none is due.
    """

    capture: float | None = None
    receipt: float | None = None
    receipt_wait: float | None = None


_NOTHING_YET = Ages()


@dataclass(frozen=True, slots=True)
class SpoolState:
    """The spool and its disk.

    Attributes:
        counts: Frames since the device's first day.
        contents: What waits.
        quota_bytes: What may wait.
        disk_free_bytes: On the spool's disk.
        unreadable: Messages that cannot be read now.
        kept: Images that no message has any more.
    """

    counts: Counts
    contents: Contents
    quota_bytes: int
    disk_free_bytes: int
    unreadable: int = 0
    kept: Sequence[KeptFile] = ()


def last_will(name: DeviceName, turn: Turn) -> Will:
    """Return what the broker is to say, retained, when this session ends without a word."""
    return Will(name.topic(Channel.STATUS), status(turn, online=False))


def status(turn: Turn, *, online: bool, stopped: bool = False, address: str = "") -> bytes:
    """Return the status message of a session."""
    return encode(
        Status(
            online=online,
            stopped=stopped,
            session=turn.session,
            spool_id=turn.spool_id,
            edge_version=EDGE_VERSION,
            at=datetime.now(UTC),
            address=address,
        )
    )


def telemetry(
    turn: Turn,
    spool: SpoolState,
    *,
    ages: Ages = _NOTHING_YET,
    period_s: float | None = None,
    problems: tuple[str, ...] = (),
    temperature_c: float | None = None,
) -> bytes:
    """Return the telemetry message: counters of the device's life, ages, and what waits."""
    counts, contents = spool.counts, spool.contents
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
            spool_quota_bytes=spool.quota_bytes,
            oldest_spooled_at=contents.oldest_at,
            disk_free_bytes=spool.disk_free_bytes,
            spool_unreadable=spool.unreadable,
            spool_kept=len(spool.kept),
            spool_kept_bytes=sum(file.size for file in spool.kept),
            problems=problems,
            number=turn.number,
            spool_id=turn.spool_id,
            period_s=period_s,
            capture_age_s=ages.capture,
            receipt_age_s=ages.receipt,
            receipt_wait_s=ages.receipt_wait,
            temperature_c=temperature_c,
        )
    )


def client_id(name: DeviceName, suffix: str = "") -> str:
    """Return a device's MQTT client id; names hold no dot, so no two devices share one."""
    return f"edge.{name.site}.{name.device}{suffix}"
