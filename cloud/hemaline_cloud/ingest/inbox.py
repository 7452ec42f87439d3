"""What came from the broker and waits to be verified: bounded, and of one connection."""

import threading
from collections import deque
from datetime import UTC, datetime

from hemaline_cloud.ingest.items import Delivery
from hemaline_cloud.ingest.metrics import HELD
from hemaline_shared.mqtt import Inbound


class Inbox:
    """Filled by the network thread, emptied in batches.

    A new connection starts with an empty inbox: what came on the one before was not acknowledged
    and comes again. So a broker that honours Receive Maximum never finds it full. Others do
    (iotcore ignores it, Mosquitto 2.0 may release two messages for one PUBACK): those wait in
    `put`, and behind it in the socket, even if that costs the connection in a long outage. To
    drop a message there would leave it unacknowledged, and the broker's window smaller, for good.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[Delivery] = deque()
        self._changed = threading.Condition()
        self._connection = 0
        self._closed = False

    def put(self, inbound: Inbound) -> None:
        """Take a message in, when there is room; once closed, it is left to come again."""
        with self._changed:
            if inbound.connection != self._connection:
                self._waiting.clear()
                self._connection = inbound.connection
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._capacity)
            if not self._closed:
                self._waiting.append(Delivery(inbound, datetime.now(UTC)))
                HELD.set(len(self._waiting))
                self._changed.notify_all()

    def take(self, limit: int) -> list[Delivery]:
        """Wait for messages and return what is there, oldest first; nothing once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            HELD.set(len(self._waiting))
            self._changed.notify_all()
            return batch

    def close(self) -> None:
        """Take nothing in any more, and forget what waits: without an ack it comes again."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
