"""What an operator asks first of a fleet: which devices want a look, though they may work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from hemaline_cloud.fleet.baseline import Baseline
from hemaline_cloud.fleet.state import Connection

UNUSED_AFTER = timedelta(hours=24)
BEHIND_AFTER = timedelta(minutes=10)
FULL_FROM = 0.8
"""Of the spool's quota."""
DISK_FREE_BYTES = 2_000_000_000
CLOCK_OFF = timedelta(minutes=1)
HOT_FROM_C = 85.0
TWICE_FROM = 2
"""Births of another agent: one is also what a spool out of a backup looks like."""
TWICE_WITHIN = timedelta(hours=1)


class Attention(StrEnum):
    """Why a device wants a look."""

    UNUSED = "unused"
    """Connected, and nothing was captured for a day."""
    BEHIND = "behind"
    """Something has waited in the spool for ten minutes."""
    DRIFTING = "drifting"
    """Focus or stain differ from what the device's own used to be."""
    FILLING_UP = "filling-up"
    """Spool or disk will be full before long."""
    CLOCK_OFF = "clock-off"
    """Its clock is wrong by a minute or more."""
    HOT = "hot"
    """Its computer is about to slow down or to stop."""
    TWICE = "twice"
    """Two agents speak under its name: its key was copied."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a device was when it last told; None: not told.

    Attributes:
        connection: Whether it is there at all.
        capture_age: Since it last captured.
        waiting_age: Of the oldest frame that waits in its spool.
        spool_bytes: Of waiting frames and kept images, against `quota_bytes`.
        disk_free_bytes: On the spool's disk.
        clock_ahead: Its clock against the server's.
        temperature_c: Of its computer's hottest place.
        baselines: Its measures.
        twins: Births of another agent under its name, of late.
    """

    connection: Connection
    capture_age: timedelta | None = None
    waiting_age: timedelta | None = None
    spool_bytes: int = 0
    quota_bytes: int = 0
    disk_free_bytes: int | None = None
    clock_ahead: timedelta | None = None
    temperature_c: float | None = None
    baselines: Mapping[str, Baseline] | None = None
    twins: int = 0


def attention_of(condition: Condition) -> frozenset[Attention]:
    """Say why a device wants a look; empty: it does not."""
    wants = {
        Attention.UNUSED: condition.connection == "connected"
        and not _is_below(condition.capture_age, UNUSED_AFTER),
        Attention.BEHIND: (condition.waiting_age or timedelta()) >= BEHIND_AFTER,
        Attention.DRIFTING: any(each.drifts for each in (condition.baselines or {}).values()),
        Attention.FILLING_UP: _fills_up(condition),
        Attention.CLOCK_OFF: abs(condition.clock_ahead or timedelta()) >= CLOCK_OFF,
        Attention.HOT: (condition.temperature_c or 0.0) >= HOT_FROM_C,
        Attention.TWICE: condition.twins >= TWICE_FROM,
    }
    return frozenset(attention for attention, wanted in wants.items() if wanted)


def _is_below(age: timedelta | None, limit: timedelta) -> bool:
    return age is not None and age < limit


def _fills_up(condition: Condition) -> bool:
    free = condition.disk_free_bytes
    if free is not None and free < DISK_FREE_BYTES:
        return True
    quota = condition.quota_bytes
    return quota > 0 and condition.spool_bytes >= FULL_FROM * quota
