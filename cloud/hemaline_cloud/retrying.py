"""Trouble that passes is waited out, for as long as it takes, and told to the readiness check."""

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import Counter

from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

RETRIES = Counter(
    "hemaline_retries", "Attempts that met trouble that passes", ["waiting", "reason"]
)

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_T = TypeVar("_T")


class StoppedError(Exception):
    """The process stops while trouble lasts; what is unfinished was never acknowledged."""


class Retrier:
    """Repeats what one part of a process does until it works; many threads may share it."""

    def __init__(self, waiting: str) -> None:
        """Name the part that waits, as logs and metrics say it."""
        self._waiting = waiting
        self._stopping = threading.Event()
        self._problem: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def problem(self) -> str | None:
        """Say what is being waited for, for a readiness check."""
        return self._problem

    def stop(self) -> None:
        """End every wait; what meets no trouble is still done."""
        self._stopping.set()

    def retry_until_ok(self, attempt: Callable[[], _T]) -> _T:
        """Repeat an attempt, with growing pauses, until it meets no trouble that passes.

        Raises:
            StoppedError: The trouble lasts, and `stop` was called.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                result = attempt()
            except TransientError as error:
                self._note(error)
                # Jitter, so that not everybody asks at once when a server is back.
                if self._stopping.wait(wait_s * random.uniform(0.5, 1.0)):  # noqa: S311
                    raise StoppedError from error
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                self._recovered()
                return result

    def _note(self, error: TransientError) -> None:
        RETRIES.labels(self._waiting, error.reason).inc()
        if self._problem is None:
            logger.warning("%s waits: %s; trying again until it works", self._waiting, error)
        self._problem = str(error)

    def _recovered(self) -> None:
        if self._problem is not None:
            logger.info("%s goes on", self._waiting)
            self._problem = None
