"""What came from the broker and waits to be verified: bounded, and of one connection."""

import threading
from collections import deque
from datetime import UTC, datetime

from hemaline_cloud.ingest.items import Delivery
from hemaline_cloud.ingest.metrics import HELD, OVERFLOWED
from hemaline_shared.mqtt import Inbound


class Inbox:
    """Filled by the network thread, which it never blocks; emptied in batches.

    With a broker that honours Receive Maximum it cannot overflow: each connection starts with an
    empty inbox, for what came on the one before was not acknowledged and comes again. One that
    ignores it (iotcore) may overflow it: what finds no place gets no receipt and is sent again.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[Delivery] = deque()
        self._changed = threading.Condition()
        self._connection = 0
        self._closed = False

    def put(self, inbound: Inbound) -> None:
        """Take a message in, if there is room."""
        with self._changed:
            if inbound.connection != self._connection:
                self._waiting.clear()
                self._connection = inbound.connection
            if self._closed or len(self._waiting) >= self._capacity:
                OVERFLOWED.inc()
                return
            self._waiting.append(Delivery(inbound, datetime.now(UTC)))
            HELD.set(len(self._waiting))
            self._changed.notify()

    def take(self, limit: int) -> list[Delivery]:
        """Wait for messages and return what is there, oldest first; nothing once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            HELD.set(len(self._waiting))
            return batch

    def close(self) -> None:
        """Take nothing in any more, and forget what waits: without an ack it comes again."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
