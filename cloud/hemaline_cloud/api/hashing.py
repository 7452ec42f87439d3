"""Bounds on hashing: a password costs half a second and 64 MiB, for whoever sends one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio

from hemaline_cloud.api.problems import ProblemError

_AT_ONCE = 2
_WAITING = 8
_RETRY_AFTER_S = "3"


class HashingSlots:
    """Few passwords are looked at at once; whoever comes when many wait is sent away."""

    def __init__(self, at_once: int = _AT_ONCE, waiting: int = _WAITING) -> None:
        self._slots = anyio.Semaphore(at_once)
        self._most = at_once + waiting
        self._inside = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one.

        Raises:
            ProblemError: 503 with Retry-After.
        """
        if self._inside >= self._most:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too-many-log-ins",
                "Many people log in right now. Try again in a moment.",
                headers={"Retry-After": _RETRY_AFTER_S},
            )
        self._inside += 1
        try:
            async with self._slots:
                yield
        finally:
            self._inside -= 1
