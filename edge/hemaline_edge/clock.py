"""This device's clock: times of capture come from it, so one that cannot be right is told."""

import logging
from datetime import UTC, datetime

logger = logging.getLogger(__name__)

EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""This software was written later."""
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class Clock:
    """Says whether the time can be right, and says it once in the log."""

    def __init__(self) -> None:
        self._told = False

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check; any thread may ask."""
        problem = impossible_time(datetime.now(UTC))
        if problem and not self._told:
            logger.error("%s", problem)
        self._told = problem is not None
        return problem


def impossible_time(now: datetime) -> str | None:
    """Say why a time cannot be right, or None."""
    if EARLIEST <= now < _LATEST:
        return None
    return (
        f"this device's clock says {now:%Y-%m-%d %H:%M} UTC, which cannot be right: set it, best "
        "by NTP; times of capture come from it"
    )
