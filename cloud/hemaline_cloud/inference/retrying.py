"""Patience with the database and the object store: try again, wait longer, say so."""

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from hemaline_cloud.inference import metrics
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0
_T = TypeVar("_T")


class GivenUpError(Exception):
    """The worker stops, and the trouble is not over: whatever is held is given back."""


class Patience:
    """Repeats what fails with a TransientError until it works; `problem` is for readiness.

    Several threads may use one at once.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._given_up = threading.Event()
        self._problem: str | None = None

    @property
    def given_up(self) -> bool:
        """Whether `give_up` was called."""
        return self._given_up.is_set()

    def problem(self) -> str | None:
        """Say what is wrong at present, in a sentence."""
        return self._problem

    def give_up(self) -> None:
        """End every wait; what meets no trouble is still done."""
        self._given_up.set()

    def call(self, action: Callable[[], _T]) -> _T:
        """Return what `action` returns once it works.

        Raises:
            GivenUpError: The trouble lasts, and `give_up` was called.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                result = action()
            except TransientError as error:
                self._note(error)
            else:
                self._recovered()
                return result
            # Jitter, so that workers do not all knock at once when a server is back.
            if self._given_up.wait(wait_s * random.uniform(0.5, 1.0)):  # noqa: S311
                raise GivenUpError
            wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)

    def _note(self, error: TransientError) -> None:
        metrics.RETRIES.labels(self._what).inc()
        if self._problem is None:
            logger.warning("%s: %s; trying again until it works", self._what, error)
        self._problem = str(error)

    def _recovered(self) -> None:
        if self._problem is not None:
            logger.info("%s works again", self._what)
            self._problem = None
