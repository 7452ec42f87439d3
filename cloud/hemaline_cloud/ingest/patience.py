"""Trouble that passes is waited out, for as long as it takes, and seen by the readiness check."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from hemaline_cloud.ingest.metrics import RETRIES
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_R = TypeVar("_R")


class Stopped(Exception):  # noqa: N818 - not an error: the way out of a wait when ingest stops
    """Ingest stops while trouble lasts; what is unfinished was never acknowledged."""


class Patience:
    """Shared by all stages; `problem` tells what any of them is waiting for."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._problems: dict[str, str] = {}

    def insist(self, stage: str, attempt: Callable[[], _R]) -> _R:
        """Repeat an attempt, with growing pauses, until it meets no trouble that passes.

        Raises:
            Stopped: `stop` was called while it waited.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                result = attempt()
            except TransientError as error:
                self._note(stage, error)
                if self._stopping.wait(wait_s):
                    raise Stopped from error
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                if self._problems.pop(stage, None):
                    logger.info("%s goes on", stage)
                return result

    def problem(self) -> str | None:
        """Say what is being waited for, for a readiness check."""
        return "; ".join(self._problems.values()) or None

    def stop(self) -> None:
        """End every wait; what meets no trouble still finishes."""
        self._stopping.set()

    def _note(self, stage: str, error: TransientError) -> None:
        RETRIES.labels(error.reason).inc()
        if stage not in self._problems:
            logger.warning("%s waits: %s", stage, error)
        self._problems[stage] = str(error)
