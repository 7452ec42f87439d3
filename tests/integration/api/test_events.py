"""Live changes, through a real server and PostgreSQL's notifications."""

import contextlib
import queue
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from factories import Factory
from hemaline_cloud.api import changes
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.outbox import (
    Position,
    entries_after,
    forget_old,
    is_kept,
    tell_of_slide,
)
from hemaline_cloud.principal import service
from parts.api import ApiProcess
from parts.event_stream import Stream
from parts.people import LoggedIn
from parts.postgres import PostgresPart
from parts.waiting import LONG_S, wait_until


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


def test_a_change_while_the_database_is_restarted_is_heard_afterwards(
    stream: Stream, factory: Factory, postgres: PostgresPart
):
    factory.close()
    postgres.restart()
    slide = factory.slide()
    assert stream.next("slide") == {"slide_id": str(slide.slide_id)}


def test_a_reader_that_was_away_hears_what_came_after_its_last_event(
    api_address: str, person: LoggedIn, stream: Stream, factory: Factory
):
    first = factory.slide()
    assert stream.next("slide") == {"slide_id": str(first.slide_id)}
    last = stream.last_event_id
    second, third = factory.slide(), factory.slide()
    resumed = Stream(api_address, person, last)
    heard = {resumed.first(), resumed.first()}
    assert heard == {("slide", str(second.slide_id)), ("slide", str(third.slide_id))}


@pytest.mark.parametrize("event_id", ["1-1", "no position", "-", "9" * 40 + "-1", "1-\u0661"])
def test_a_reader_whose_last_event_nobody_knows_reads_everything_again(
    api_address: str, person: LoggedIn, stream: Stream, factory: Factory, event_id: str
):
    assert Stream(api_address, person, event_id.encode().decode("latin-1")).first() == (
        "everything",
        "",
    )


def test_a_reader_that_heard_only_of_everything_can_go_on_from_there(
    api_address: str, person: LoggedIn, stream: Stream, factory: Factory
):
    later = Stream(api_address, person)
    later.next("everything")
    wait_until(lambda: later.last_event_id)
    slide = factory.slide()
    assert Stream(api_address, person, later.last_event_id).next("slide") == {
        "slide_id": str(slide.slide_id)
    }


def test_a_change_in_a_transaction_that_an_older_one_overtakes_is_not_missed(
    stream: Stream, factory: Factory, database_url: str
):
    """Positions are read in order, so what an older transaction writes later must come first."""
    engine = make_engine(database_url, principal=service("tests"))
    with unit_of_work(engine) as older:
        tell_of_slide(older, "north", UUID(int=1))
        factory.slide()
        with pytest.raises(queue.Empty):
            stream.next("slide", timeout_s=1)
    assert stream.next("slide") == {"slide_id": str(UUID(int=1))}
    engine.dispose()


def test_what_is_older_than_a_day_is_forgotten_and_its_reader_reads_everything(
    database_url: str, factory: Factory
):
    engine = make_engine(database_url, principal=service("tests"))
    for number in range(3):
        with unit_of_work(engine) as connection:
            tell_of_slide(connection, "north", UUID(int=number))
    with unit_of_work(engine) as connection:
        _old, older, newest = entries_after(connection, Position(0, 0), 10)
        connection.exec_driver_sql("update outbox set at = at - interval '25 hours'")
        forget_old(connection)
        assert entries_after(connection, Position(0, 0), 10) == [newest]
        assert not is_kept(connection, older.position)
        assert is_kept(connection, newest.position)
    engine.dispose()


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
