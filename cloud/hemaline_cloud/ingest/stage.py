"""A thread that turns batches into batches, in order."""

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from hemaline_cloud.retrying import StoppedError

logger = logging.getLogger(__name__)

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Stage(Generic[_In, _Out]):
    """Takes from `source`, works, gives to `sink`; an empty batch is the end, and is passed on.

    A fault of ours ends the stage and is told to `on_fault`: nothing was acknowledged, and another
    process may fare better.
    """

    def __init__(
        self,
        name: str,
        source: Callable[[], list[_In]],
        work: Callable[[list[_In]], list[_Out]],
        sink: Callable[[list[_Out]], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._source = source
        self._work = work
        self._sink = sink
        self._on_fault = on_fault
        self._thread = threading.Thread(target=self._run, name=f"ingest-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when the time is over first."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while batch := self._source():
                self._sink(self._work(batch))
        except StoppedError:
            self._drain()
        except (
            BaseException
        ):  # a library in Rust panics with no Exception; half an ingest looks alive
            logger.exception("ingest met a fault of ours and ends")
            self._on_fault()
            self._drain()
        self._sink([])

    def _drain(self) -> None:
        """Let the stage before this one come to its end too."""
        while self._source():
            pass
