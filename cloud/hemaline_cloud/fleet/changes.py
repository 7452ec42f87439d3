"""What changed of a device, for its timeline: from what was known to what it now tells."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from hemaline_cloud.fleet.state import SILENT_AFTER_PERIODS
from hemaline_shared.messages import Status, Telemetry

ChangeKind: TypeAlias = Literal[
    "connected",
    "stopped",
    "lost",
    "new-spool",
    "new-version",
    "heard-again",
    "another-agent",
    "problem-began",
    "problem-ended",
]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the timeline; `detail`: a version, a check, addresses, or seconds of silence."""

    kind: ChangeKind
    detail: str = ""


def changes_of_status(told: Status, version: str | None, *, has_new_spool: bool) -> list[Change]:
    """Return what a newer status changes; `version` is the one that was known."""
    found = []
    if has_new_spool:
        found.append(Change("new-spool"))
    if version not in {None, told.edge_version}:
        found.append(Change("new-version", f"{version} → {told.edge_version}"))
    if told.online:
        found.append(Change("connected"))
    else:
        found.append(Change("stopped" if told.stopped else "lost"))
    return found


def changes_of_telemetry(
    told: Telemetry, problems: frozenset[str], heard_at: datetime, now: datetime
) -> Iterator[Change]:
    """Yield what newer telemetry changes.

    Args:
        told: The telemetry.
        problems: What was wrong before it.
        heard_at: When the device was last heard before it.
        now: When it came.
    """
    silence = now - heard_at
    if silence >= SILENT_AFTER_PERIODS * timedelta(seconds=told.period_s or 30):
        yield Change("heard-again", str(round(silence.total_seconds())))
    now_wrong = frozenset(told.problems)
    for problem in sorted(now_wrong - problems):
        yield Change("problem-began", problem)
    for problem in sorted(problems - now_wrong):
        yield Change("problem-ended", problem)
