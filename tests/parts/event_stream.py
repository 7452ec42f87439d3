"""Reads `/api/v1/events` as a page does."""

import json
import queue
import threading
import urllib.request

from parts.people import LoggedIn
from parts.waiting import LONG_S


class Stream:
    """Reads events in a thread; `next` waits for one of a kind."""

    def __init__(self, address: str, listener: LoggedIn, last_event_id: str = "") -> None:
        self._events: queue.Queue[tuple[str, dict] | None] = queue.Queue()
        self.last_event_id = ""
        request = urllib.request.Request(f"{address}/api/v1/events", headers=listener.bearer)
        if last_event_id:
            request.add_header("Last-Event-ID", last_event_id)
        self._answer = urllib.request.urlopen(request, timeout=LONG_S)
        self.content_type = self._answer.headers["content-type"]
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, kind: str, timeout_s: float = LONG_S) -> dict:
        while True:
            event = self._events.get(timeout=timeout_s)
            assert event, "the stream has ended"
            if event[0] == kind:
                return event[1]

    def first(self) -> tuple[str, str]:
        event = self._events.get(timeout=LONG_S)
        assert event, "the stream has ended"
        return event[0], event[1].get("slide_id", "")

    def wait_end(self) -> None:
        while self._events.get(timeout=LONG_S):
            pass

    def rest(self) -> list[tuple[str, dict]]:
        """Return what was told and not asked for, once the stream has ended."""
        return list(iter(lambda: self._events.get(timeout=LONG_S), None))

    def _read(self) -> None:
        kind = ""
        for line in self._answer:
            name, _, value = line.decode().strip().partition(": ")
            if name == "id":
                self.last_event_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                self._events.put((kind, json.loads(value)))
        self._events.put(None)
