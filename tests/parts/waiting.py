"""Waiting for what must come: as long as it takes on the slowest and busiest of machines."""

import time
from collections.abc import Callable

LONG_S = 300
"""Nothing is measured by it: it ends a test that would never end."""


def wait_until(
    true: Callable[[], object], timeout_s: float = LONG_S, every_s: float = 0.05
) -> None:
    """Poll a condition of another process or thread until it holds."""
    give_up_at = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < give_up_at, "it did not come true in time"
        time.sleep(every_s)
