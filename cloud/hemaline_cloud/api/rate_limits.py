"""How many requests one caller may make: a bucket that fills steadily, in this process's memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from math import ceil

from hemaline_cloud.api.problems import ProblemError

_MOST_CALLERS = 10_000


class RateLimit:
    """At most `burst` at once and `per_s` in the long run, for each caller."""

    def __init__(
        self, burst: int, per_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count one request; call it on the event loop.

        Raises:
            ProblemError: 429 with Retry-After.
        """
        now = self._clock()
        left, since = self._left.pop(caller, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._per_s)
        allowed = left >= 1
        self._left[caller] = (left - 1 if allowed else left, now)
        while len(self._left) > _MOST_CALLERS:
            self._left.popitem(last=False)
        if not allowed:
            wait_s = ceil((1 - left) / self._per_s)
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-requests",
                f"Too many requests at once. Try again in {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
            )
