"""Live changes, through a real server and PostgreSQL's notifications."""

import contextlib
import json
import queue
import threading
import urllib.request

import pytest
from fastapi.testclient import TestClient

from factories import Factory
from hemaline_cloud.api import changes
from parts.api import ApiProcess
from parts.people import LoggedIn
from parts.postgres import PostgresPart
from parts.waiting import LONG_S


class Stream:
    """Reads events in a thread; `next` waits for one of a kind."""

    def __init__(self, address: str, listener: LoggedIn) -> None:
        self._events: queue.Queue[tuple[str, dict] | None] = queue.Queue()
        request = urllib.request.Request(f"{address}/api/v1/events", headers=listener.bearer)
        self._answer = urllib.request.urlopen(request, timeout=LONG_S)
        self.content_type = self._answer.headers["content-type"]
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, kind: str, timeout_s: float = LONG_S) -> dict:
        while True:
            event = self._events.get(timeout=timeout_s)
            assert event, "the stream has ended"
            if event[0] == kind:
                return event[1]

    def wait_end(self) -> None:
        while self._events.get(timeout=LONG_S):
            pass

    def _read(self) -> None:
        kind = ""
        for line in self._answer:
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                self._events.put((kind, json.loads(value)))
        self._events.put(None)


@pytest.fixture
def stream(api_address: str, factory: Factory, person: LoggedIn) -> Stream:
    """A stream of a server that listens to PostgreSQL by now: it has told of a device."""
    opened = Stream(api_address, person)
    assert opened.content_type.startswith("text/event-stream")
    opened.next("everything")
    for number in range(30):
        factory.device(f"probe-{number}")
        with contextlib.suppress(queue.Empty):
            opened.next("devices", timeout_s=1)
            return opened
    raise AssertionError("the server never told of a device")


def test_a_reader_hears_of_each_change_to_a_slide(stream: Stream, factory: Factory):
    slide = factory.slide()
    changes = (
        lambda: factory.field(slide),
        lambda: factory.untrained_result(slide),
        lambda: factory.rejected(slide),
        lambda: factory.close_slide(slide),
    )
    assert stream.next("slide") == {"slide_id": str(slide.slide_id)}
    for change in changes:
        change()
        assert stream.next("slide") == {"slide_id": str(slide.slide_id)}


def test_a_reader_hears_of_devices_and_dead_letters(stream: Stream, factory: Factory):
    factory.device()
    stream.next("devices")
    factory.dead_letter()
    stream.next("dead-letters")


def test_after_the_database_was_away_a_reader_is_told_to_read_everything_again(
    stream: Stream, factory: Factory, postgres: PostgresPart
):
    factory.close()
    postgres.restart()
    stream.next("everything")
    slide = factory.slide()
    assert stream.next("slide") == {"slide_id": str(slide.slide_id)}


def test_one_reader_too_many_is_sent_away_with_a_problem(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(changes, "_MOST_LISTENERS", 0)
    answer = client.get("/api/v1/events")
    assert (answer.status_code, answer.json()["reason"]) == (503, "too-many-listeners")


def test_the_server_stops_at_once_although_a_reader_listens(
    api_process: ApiProcess, person: LoggedIn
):
    stream = Stream(api_process.address, person)
    stream.next("everything")
    api_process.child.stop(timeout_s=LONG_S)
    assert api_process.child.exit_status == 0
    # uvicorn says so when it has waited for a reader in vain.
    assert "graceful shutdown exceeded" not in api_process.child.log_tail()
    stream.wait_end()
