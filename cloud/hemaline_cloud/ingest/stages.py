"""What comes from the broker waits in an inbox; threads take it on, batch by batch, in order."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

from hemaline_cloud.ingest.items import Delivery
from hemaline_cloud.ingest.metrics import HELD, HELD_BYTES
from hemaline_cloud.retrying import StoppedError
from hemaline_shared.mqtt import Inbound

logger = logging.getLogger(__name__)

_MANY = 4
_GATHER_S = 0.02
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Inbox:
    """Filled by the network thread, emptied in batches; bounded in messages and in bytes.

    The bytes are those of all messages that are not done, wherever they are: a message's images
    are copied out of it once, so each counts twice.

    A new connection starts with nothing waiting: what came on the one before was not acknowledged
    and comes again. So a broker that honours Receive Maximum seldom finds it full. Others do
    (iotcore ignores it, Mosquitto 2.0 may release two messages for one PUBACK): those wait in
    `put`, and behind it in the socket, even if that costs the connection in a long outage. To
    drop a message there would leave it unacknowledged, and the broker's window smaller, for good.
    """

    def __init__(self, messages: int, size: int) -> None:
        self._messages = messages
        self._size = size
        self._waiting: deque[Delivery] = deque()
        self._held_bytes = 0
        self._changed = threading.Condition()
        self._connection = 0
        self._closed = False

    def put(self, inbound: Inbound) -> None:
        """Take a message in, when there is room; once closed, it is left to come again."""
        with self._changed:
            if inbound.connection != self._connection:
                self._release(self._waiting)
                self._waiting.clear()
                self._connection = inbound.connection
            self._changed.wait_for(lambda: self._closed or self._has_room(inbound))
            if not self._closed:
                self._waiting.append(Delivery(inbound, datetime.now(UTC)))
                self._held_bytes += _bytes_of(inbound)
                self._measure()
                self._changed.notify_all()

    def take(self, limit: int) -> list[Delivery]:
        """Wait for messages and return what is there, oldest first; nothing once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._measure()
            self._changed.notify_all()
            return batch

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Make room for as many bytes as these messages took."""
        with self._changed:
            self._release(deliveries)
            self._measure()
            self._changed.notify_all()

    def close(self) -> None:
        """Take nothing in any more, and forget what waits: without an ack it comes again."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _has_room(self, inbound: Inbound) -> bool:
        fits = not self._held_bytes or self._held_bytes + _bytes_of(inbound) <= self._size
        return fits and len(self._waiting) < self._messages

    def _release(self, deliveries: Sequence[Delivery]) -> None:
        self._held_bytes -= sum(_bytes_of(delivery.inbound) for delivery in deliveries)

    def _measure(self) -> None:
        HELD.set(len(self._waiting))
        HELD_BYTES.set(self._held_bytes)


class Handover(Generic[_Out]):
    """Between two stages: what waits is taken together, so that the slower one's batches grow."""

    def __init__(self, at_most: int) -> None:
        """Bound what waits; a batch is let in whole, so up to as much again may come."""
        self._at_most = at_most
        self._waiting: list[_Out] = []
        self._ended = False
        self._changed = threading.Condition()

    def put(self, batch: list[_Out]) -> None:
        """Hand a batch over, when there is room; an empty one is the end."""
        with self._changed:
            self._ended = self._ended or not batch
            self._changed.wait_for(lambda: self._ended or len(self._waiting) < self._at_most)
            self._waiting += batch
            self._changed.notify_all()

    def take(self) -> list[_Out]:
        """Wait, and return all that is there; nothing at the end.

        Where many come, more of them are waited for, briefly: a batch costs a sync of the disk and
        a transaction, however small it is.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if len(self._waiting) >= _MANY:
                self._changed.wait_for(
                    lambda: self._ended or len(self._waiting) >= self._at_most, _GATHER_S
                )
            batch, self._waiting = self._waiting, []
            self._changed.notify_all()
            return batch


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
                if done := self._work(batch):
                    self._sink(done)
        except StoppedError:
            self._drain()
        except BaseException:  # a library in Rust panics with no Exception
            logger.exception("ingest met a fault of ours and ends")
            self._on_fault()
            self._drain()
        self._sink([])

    def _drain(self) -> None:
        """Let the stage before this one come to its end too."""
        while self._source():
            pass


def _bytes_of(inbound: Inbound) -> int:
    return 2 * len(inbound.payload)
