"""The work queue: urgent first, each field held by one worker, nothing lost with a worker."""

import threading
import time
from datetime import UTC, datetime

import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.frames import FieldRow, FrameRow, record_fields, record_frames
from hemaline_cloud.database.slides import SlideRow, open_slides
from hemaline_cloud.database.work import (
    URGENT,
    complete,
    enqueue,
    extend,
    lease,
    listen_for_work,
    queue_state,
    release,
)
from hemaline_shared.errors import TransientError
from hemaline_shared.ids import new_id


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def queue(engine):
    """Call with a number: so many fields are recorded and queued; their ids are returned."""
    slide = SlideRow(new_id(), new_id(), "lab", "scope")

    def add(count, **how):
        at = datetime.now(UTC)
        frames = sorted(new_id() for _ in range(count))
        with unit_of_work(engine) as connection:
            open_slides(connection, [(slide, at)])
            record_frames(
                connection,
                [
                    FrameRow(i, slide.slide_id, "lab", "scope", 0, "folder", "1", at, at, "pending")
                    for i in frames
                ],
            )
            fields = [
                FieldRow(i, 10, 10, 0.1, "assumed", "1", "f", f"fields/{i}", 1, "0" * 64)
                for i in frames
            ]
            record_fields(connection, fields, [])
            enqueue(connection, frames, **how)
        return frames

    return add


def lease_ids(engine, worker, limit, lease_s=60):
    with unit_of_work(engine) as connection:
        return [field.frame_id for field in lease(connection, worker, limit, lease_s)]


def test_a_leased_field_tells_where_it_lies(engine, queue):
    (frame_id,) = queue(1)
    with unit_of_work(engine) as connection:
        (field,) = lease(connection, "worker", 5, 60)
    assert (field.frame_id, field.object_key, field.attempts) == (
        frame_id,
        f"fields/{frame_id}",
        1,
    )


def test_urgent_comes_first_then_the_oldest(engine, queue):
    old, new, urgent = queue(2), queue(2), queue(2, priority=URGENT)
    assert lease_ids(engine, "worker", 3) == [*urgent, old[0]]
    assert lease_ids(engine, "worker", 5) == [old[1], *new]


def test_two_workers_never_hold_the_same_field(engine, queue):
    queue(6)
    with engine.begin() as first, engine.begin() as second:
        one = {field.frame_id for field in lease(first, "one", 4, 60)}
        other = {field.frame_id for field in lease(second, "two", 4, 60)}
    assert (len(one), len(other)) == (4, 2)
    assert one.isdisjoint(other)


def test_the_lease_of_a_dead_worker_passes_to_another(engine, queue):
    queued = queue(1)
    assert lease_ids(engine, "dead", 1, lease_s=0.1) == queued
    assert lease_ids(engine, "alive", 1) == []
    time.sleep(0.2)
    with unit_of_work(engine) as connection:
        (field,) = lease(connection, "alive", 1, 60)
        assert field.attempts == 2
        assert extend(connection, "dead", queued, 60) == set()
        assert complete(connection, "dead", queued) == set()
        assert complete(connection, "alive", queued) == set(queued)
        assert queue_state(connection).depth == 0


def test_an_extended_lease_is_held_longer(engine, queue):
    queued = queue(1)
    lease_ids(engine, "worker", 1, lease_s=0.1)
    with unit_of_work(engine) as connection:
        assert extend(connection, "worker", queued, 60) == set(queued)
    time.sleep(0.2)
    assert lease_ids(engine, "other", 1) == []


def test_a_released_field_rests_before_it_is_leased_again(engine, queue):
    queued = queue(1)
    lease_ids(engine, "worker", 1)
    with unit_of_work(engine) as connection:
        release(connection, "worker", queued[0], retry_in_s=0.3, blameless=False)
    assert lease_ids(engine, "other", 1) == []
    time.sleep(0.4)
    assert lease_ids(engine, "other", 1) == queued


def test_a_field_is_queued_once(engine, queue):
    queued = queue(2)
    with unit_of_work(engine) as connection:
        enqueue(connection, queued)
        assert queue_state(connection).depth == 2


def test_the_state_of_the_queue_counts_waiting_and_leased(engine, queue):
    with unit_of_work(engine) as connection:
        assert queue_state(connection).oldest is None
    queue(3)
    lease_ids(engine, "worker", 1)
    with unit_of_work(engine) as connection:
        state = queue_state(connection)
    assert (state.depth, state.leased) == (3, 1)
    assert (datetime.now(UTC) - state.oldest).total_seconds() < 60


def test_a_listening_worker_is_woken_by_new_work(engine, queue):
    with listen_for_work(engine) as bell:
        assert not bell.wait(0.05)
        timer = threading.Timer(0.2, queue, args=[1])
        timer.start()
        began = time.monotonic()
        assert bell.wait(10)
        assert time.monotonic() - began < 5
        timer.join()


def test_a_listener_whose_connection_is_cut_is_told(engine):
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where query ilike 'listen hema%%' and datname = current_database()"
    )

    def listen():
        with listen_for_work(engine) as bell:
            with unit_of_work(engine) as connection:
                connection.exec_driver_sql(cut)
            bell.wait(10)

    with pytest.raises(TransientError):
        listen()
