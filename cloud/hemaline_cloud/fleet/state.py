"""What a device is doing, in a word: the worst of four facts, each with its age.

One function says it, for page, API and metric alike. All moments are this server's; a device's own
clock takes no part.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypeAlias

Connection: TypeAlias = Literal["connected", "stopped", "lost", "never-seen"]
"""How the device's last session stands: it goes on, the device ended it, or it broke off."""

DEFAULT_PERIOD = timedelta(seconds=30)
"""How often an agent tells telemetry that does not say it."""
SILENT_AFTER_PERIODS = 2
IDLE_AFTER = timedelta(minutes=15)
"""So long the agent keeps a slide open without a frame."""


class DeviceWord(StrEnum):
    """What a device is doing, from the best to the worst."""

    WORKING = "working"
    IDLE = "idle"
    NOT_CAPTURING = "not-capturing"
    SILENT = "silent"
    STOPPED = "stopped"
    LOST = "lost"
    NEVER_SEEN = "never-seen"


Reason: TypeAlias = Literal[
    "captures",
    "nothing-captured",
    "capture-fails",
    "useless-pictures",
    "spool-full",
    "no-receipts",
    "no-telemetry",
    "ended-by-itself",
    "connection-broke",
    "never-connected",
]

_CAPTURE_PROBLEMS: tuple[tuple[str, Reason], ...] = (
    ("spool", "spool-full"),
    ("pictures", "useless-pictures"),
    ("capture", "capture-fails"),
)
"""The agent's readiness checks that mean that nothing useful is captured; the first one tells why,
for a full spool stops capturing too."""


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What is known of a device.

    Attributes:
        connection: How its last session stands.
        connection_at: Since when.
        telemetry_at: When it last told how it is doing.
        capture_at: When it last captured.
        receipt_at: When it last heard a receipt.
        receipt_wait: For how long it had waited for one when it last told; None: for none.
        period: How often it tells.
        problems: Which of its readiness checks said that something is wrong.
    """

    connection: Connection
    connection_at: datetime | None = None
    telemetry_at: datetime | None = None
    capture_at: datetime | None = None
    receipt_at: datetime | None = None
    receipt_wait: timedelta | None = None
    period: timedelta = DEFAULT_PERIOD
    problems: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The word, and which fact decided it."""

    word: DeviceWord
    reason: Reason


def state_of(facts: DeviceFacts, now: datetime) -> DeviceState:
    """Say what a device is doing: each fact is looked at, the worst first."""
    ended: dict[Connection, DeviceState] = {
        "never-seen": DeviceState(DeviceWord.NEVER_SEEN, "never-connected"),
        "lost": DeviceState(DeviceWord.LOST, "connection-broke"),
        "stopped": DeviceState(DeviceWord.STOPPED, "ended-by-itself"),
    }
    if facts.connection in ended:
        return ended[facts.connection]
    if now - _heard_at(facts, now) >= SILENT_AFTER_PERIODS * facts.period:
        return DeviceState(DeviceWord.SILENT, "no-telemetry")
    if facts.receipt_wait is not None and facts.receipt_wait >= facts.period:
        return DeviceState(DeviceWord.SILENT, "no-receipts")
    for problem, reason in _CAPTURE_PROBLEMS:
        if problem in facts.problems:
            return DeviceState(DeviceWord.NOT_CAPTURING, reason)
    if facts.capture_at is None or now - facts.capture_at >= IDLE_AFTER:
        return DeviceState(DeviceWord.IDLE, "nothing-captured")
    return DeviceState(DeviceWord.WORKING, "captures")


def _heard_at(facts: DeviceFacts, now: datetime) -> datetime:
    """Return when the device was last heard; one that just connected has told nothing yet."""
    moments = [at for at in (facts.connection_at, facts.telemetry_at) if at is not None]
    return max(moments, default=now)
