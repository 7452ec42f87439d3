"""How far a run is and how long it will take, said while an epoch goes on."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

logger = logging.getLogger(__name__)

Batch = TypeVar("Batch")

EVERY_S = 30.0


class Progress:
    """Tells of a run's batches, at most every `EVERY_S` seconds.

    Args:
        epochs: Of the run.
        epoch: How many are done when it begins or goes on.
        clock: Seconds that only rise.
        silent: Of several processes one tells.
    """

    def __init__(
        self,
        epochs: int,
        epoch: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        silent: bool = False,
    ) -> None:
        self._epochs, self._epoch, self._clock, self._silent = epochs, epoch, clock, silent
        self._begun = self._told = clock()
        self._batches = 0

    def of(self, batches: Sequence[Batch]) -> Iterator[Batch]:
        """Yield an epoch's batches, and tell after each how far it is if it is time to."""
        for place, batch in enumerate(batches, 1):
            yield batch
            self._batches += 1
            now = self._clock()
            if now - self._told >= EVERY_S and not self._silent:
                self._told = now
                left = len(batches) - place
                whole = left + (self._epochs - self._epoch - 1) * len(batches)
                each = (now - self._begun) / self._batches
                logger.info(
                    "epoch %d of %d, batch %d of %d: %s left in it, %s in all",
                    self._epoch + 1, self._epochs, place, len(batches),
                    duration(left * each), duration(whole * each),
                )  # fmt: skip
        self._epoch += 1


def counted(batches: Sequence[Batch], what: str) -> Iterator[Batch]:
    """Yield batches of anything that is gone through once, and tell every `EVERY_S` seconds.

    Args:
        batches: In their order.
        what: They are, in the message.
    """
    begun = told = time.monotonic()
    for place, batch in enumerate(batches, 1):
        yield batch
        now = time.monotonic()
        if now - told >= EVERY_S:
            told = now
            left = (len(batches) - place) * (now - begun) / place
            logger.info("%s %d of %d: %s left", what, place, len(batches), duration(left))


def duration(seconds: float) -> str:
    """Return a time as people say it: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
