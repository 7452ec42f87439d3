"""The work queue: urgent first, each field held by one worker, nothing lost with a worker."""

import threading
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.frames import FieldRow, FrameRow, record_fields, record_frames
from hemaline_cloud.database.listening import listen_for_work
from hemaline_cloud.database.results import save_slide_result
from hemaline_cloud.database.slides import SlideRow, open_slides
from hemaline_cloud.database.work import (
    QueueState,
    Room,
    complete,
    enqueue,
    extend,
    lease,
    queue_state,
    release,
    release_unknown,
)
from hemaline_cloud.principal import service
from hemaline_shared.errors import TransientError
from hemaline_shared.ids import new_id
from parts.waiting import LONG_S


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def queue(engine):
    """Call with a number: so many fields are recorded and queued; their ids are returned."""
    any_slide = SlideRow(new_id(), new_id(), "lab", "scope")

    def add(count, pixel_pipeline="1", size=1, slide=any_slide):
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
                FieldRow(
                    i,
                    "lab",
                    10,
                    10,
                    0.1,
                    "assumed",
                    pixel_pipeline,
                    "f",
                    f"fields/{i}",
                    size,
                    "0" * 64,
                )
                for i in frames
            ]
            record_fields(connection, fields, [])
            enqueue(connection, frames)
        return frames

    return add


@pytest.fixture
def execute(engine):
    """Change the queue behind everybody's back; return what a query gives."""

    def run(statement):
        with unit_of_work(engine) as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else None

    return run


def room(fields=9, pixel_pipelines=("1",), **more):
    return Room(pixel_pipelines, fields, **more)


def lease_some(engine, worker="worker", limit=9, lease_s=60, **more):
    with unit_of_work(engine) as connection:
        return lease(connection, worker, room(limit, **more), lease_s)


def lease_ids(*args, **how):
    return [field.frame_id for field in lease_some(*args, **how).fields]


def let_go(engine, frame_ids, worker="worker", *, suspected):
    with unit_of_work(engine) as connection:
        release(connection, worker, frame_ids, suspected=suspected)


def test_a_leased_field_tells_where_it_lies(engine, queue):
    (frame_id,) = queue(1, size=50)
    (field,) = lease_some(engine).fields
    assert (field.frame_id, field.object_key) == (frame_id, f"fields/{frame_id}")
    assert (field.alone, field.attempts) == (False, 0)
    assert field.bytes == 50 + 3 * 10 * 10


def test_the_oldest_comes_first(engine, queue):
    old, new = queue(2), queue(2)
    assert lease_ids(engine, limit=3) == [*old, new[0]]


@pytest.fixture
def a_slide():
    return lambda **said: SlideRow(new_id(), new_id(), "lab", "scope", **said)


def test_a_slide_that_the_laboratory_wants_at_once_comes_first(engine, queue, a_slide):
    routine = queue(1, slide=a_slide())
    stat = queue(2, slide=a_slide(priority="stat"))
    assert lease_ids(engine) == [*stat, *routine]


def test_when_a_slide_becomes_stat_what_is_queued_of_it_follows(engine, queue, a_slide):
    slide = a_slide()
    other, queued = queue(1, slide=a_slide()), queue(1, slide=slide)
    later = queue(1, slide=slide._replace(priority="stat"))
    # Once said it holds, also for a frame whose message does not say it again.
    last = queue(1, slide=slide)
    assert lease_ids(engine) == [*queued, *later, *last, *other]


def test_the_more_urgent_a_slide_the_sooner_its_queued_and_its_later_fields(
    engine, queue, a_slide, execute
):
    calm, some, many = a_slide(), a_slide(), a_slide()
    first, second, third = (queue(1, slide=slide) for slide in (calm, some, many))
    for slide, urgency in ((some, 1), (many, 3)):
        result = {"urgency": urgency, "cells": 1}
        execute(
            "insert into bundles (sha256, bundle_id, trained, manifest, first_used_at)"
            " values ('b', 'b', true, '{}', now()) on conflict do nothing"
        )
        with unit_of_work(engine) as connection:
            save_slide_result(connection, slide.slide_id, "b", result)
    later = queue(1, slide=many)
    assert lease_ids(engine) == [*third, *later, *second, *first]


def test_a_field_that_is_held_by_nobody_else_waits_for_no_lock_to_hurry(
    engine, queue, a_slide, execute
):
    slide = a_slide()
    held, queued = queue(2, slide=slide)
    with unit_of_work(engine) as ending:
        complete(ending, "nobody", [held])
        ending.exec_driver_sql(f"select 1 from work where frame_id = '{held}' for update")
        execute(f"update slides set urgency = 3 where slide_id = '{slide.slide_id}'")
    assert dict(execute("select frame_id, priority from work")) == {held: 100, queued: 10}


def test_two_workers_never_hold_the_same_field(engine, queue):
    queue(6)
    with engine.begin() as first, engine.begin() as second:
        one = {field.frame_id for field in lease(first, "one", room(4), 60).fields}
        other = {field.frame_id for field in lease(second, "two", room(4), 60).fields}
    assert (len(one), len(other)) == (4, 2)
    assert one.isdisjoint(other)


@pytest.mark.parametrize(("dead", "alive"), [("w1", "w2"), ("w2", "w1")])
def test_the_lease_of_a_dead_worker_passes_to_another(engine, queue, dead, alive):
    queued = queue(1)
    assert lease_ids(engine, dead) == queued
    assert lease_ids(engine, alive) == []
    with unit_of_work(engine) as connection:
        connection.execute(text("update work set leased_until = now() - interval '1 second'"))
    assert lease_ids(engine, alive) == queued
    let_go(engine, queued, dead, suspected=False)
    with unit_of_work(engine) as connection:
        assert extend(connection, dead, queued, 60) == set()
        assert complete(connection, dead, queued) == set()
        assert complete(connection, alive, queued) == set(queued)
        assert queue_state(connection, ["1"]).depth == 0


def test_what_a_dead_worker_held_is_leased_field_by_field_to_a_worker_that_holds_nothing(
    engine, queue
):
    queued, later = queue(2), queue(2)
    lease_some(engine, "dead", 2, lease_s=0.1)
    time.sleep(0.2)
    busy = lease_some(engine, idle=False)
    assert (busy.fields, busy.suspect_is_next) == ((), True)
    (first,) = lease_some(engine).fields
    assert (first.frame_id, first.alone, first.attempts) == (queued[0], True, 1)
    assert lease_ids(engine, "other") == [queued[1]]
    assert lease_ids(engine) == later


@pytest.mark.parametrize("idle", [True, False])
def test_a_worker_takes_what_comes_before_a_suspect(engine, queue, idle):
    before, suspect = queue(2), queue(1)[0]
    lease_some(engine)
    let_go(engine, before, suspected=False)
    let_go(engine, [suspect], suspected=True)
    assert lease_ids(engine, idle=idle) == before
    (alone,) = lease_some(engine).fields
    assert (alone.frame_id, alone.alone) == (suspect, True)


def test_only_an_attempt_alone_counts_and_only_if_it_is_not_taken_back(engine, queue, execute):
    queued = queue(1)
    count = "select attempts, suspected from work"
    for _ in range(2):
        lease_some(engine)
        assert execute(count) == [(0, False)]
        let_go(engine, queued, suspected=False)
    lease_some(engine)
    let_go(engine, queued, suspected=True)
    assert execute(count) == [(0, True)]
    lease_some(engine)
    assert execute(count) == [(1, True)]
    let_go(engine, queued, suspected=False)
    assert execute(count) == [(0, True)]
    lease_some(engine)
    let_go(engine, queued, suspected=True)
    assert execute(count) == [(1, True)]


def test_a_field_of_another_pixel_pipeline_is_parked_however_old_it_is(engine, queue):
    queue(2, pixel_pipeline="2")
    ours = queue(1)
    assert lease_ids(engine) == ours
    assert lease_ids(engine) == []
    with unit_of_work(engine) as connection:
        state = queue_state(connection, ["1"])
        assert (state.depth, state.leased, state.parked) == (1, 1, {"2": 2})
    assert len(lease_ids(engine, "newer", pixel_pipelines=("1", "2"))) == 2


def test_no_more_bytes_are_leased_than_there_is_room_for(engine, queue):
    first, second, third = queue(3, size=1000)
    each = 1000 + 3 * 10 * 10
    assert lease_ids(engine, bytes=2 * each, idle=False) == [first, second]
    assert lease_ids(engine, bytes=each - 1, idle=False) == []
    # Alone it may be as large as it likes, or it would wait for ever.
    assert lease_ids(engine, bytes=each - 1) == [third]


def test_an_extended_lease_is_held_longer(engine, queue):
    queued = queue(1)
    lease_ids(engine, lease_s=0.1)
    with unit_of_work(engine) as connection:
        assert extend(connection, "worker", queued, 60) == set(queued)
    time.sleep(0.2)
    assert lease_ids(engine, "other") == []


def test_a_released_field_is_leased_at_once(engine, queue):
    queued = queue(1)
    lease_ids(engine)
    let_go(engine, queued, "another", suspected=False)
    assert lease_ids(engine, "other") == []
    let_go(engine, queued, suspected=False)
    assert lease_ids(engine, "other") == queued


def test_what_a_worker_leased_without_learning_of_it_is_given_back(engine, queue, execute):
    held, unknown = queue(2)
    lease_some(engine, limit=1)
    lease_some(engine, limit=1)
    with unit_of_work(engine) as connection:
        release_unknown(connection, "worker", [held])
    assert execute("select frame_id from work where leased_by is not null") == [(held,)]
    assert lease_ids(engine, "other") == [unknown]


def test_a_lease_from_before_the_servers_clock_was_set_back_lasts_no_longer(engine, queue, execute):
    queued = queue(1)
    lease_ids(engine, "dead")
    execute("update work set leased_at = leased_at + interval '3 days'")
    execute("update work set leased_until = leased_until + interval '3 days'")
    assert lease_ids(engine, "alive") == queued


def test_how_long_the_oldest_waits_is_never_negative_and_is_told_by_one_clock(
    engine, queue, execute
):
    queue(1)
    execute("update work set enqueued_at = enqueued_at - interval '90 s'")
    with unit_of_work(engine) as connection:
        assert 90 <= queue_state(connection, ["1"]).oldest_s < 600
    execute("update work set enqueued_at = enqueued_at + interval '3 days'")
    with unit_of_work(engine) as connection:
        assert queue_state(connection, ["1"]).oldest_s == 0


def test_a_field_is_queued_once(engine, queue):
    queued = queue(2)
    with unit_of_work(engine) as connection:
        enqueue(connection, queued)
        enqueue(connection, [])
        assert queue_state(connection, ["1"]).depth == 2


def test_what_is_done_is_not_queued_again_with_what_is_new(engine, queue):
    done = queue(2)
    lease_ids(engine)
    with unit_of_work(engine) as connection:
        complete(connection, "worker", done)
    new = queue(1)
    assert lease_ids(engine) == new


def test_the_state_of_the_queue_counts_waiting_and_leased(engine, queue):
    with unit_of_work(engine) as connection:
        assert queue_state(connection, ["1"]) == QueueState(0, 0, 0.0, {})
    queue(3)
    lease_ids(engine, limit=1)
    with unit_of_work(engine) as connection:
        state = queue_state(connection, ["1"])
    assert (state.depth, state.leased, state.parked) == (3, 1, {})


def test_a_listening_worker_is_woken_by_new_work(engine, queue):
    with listen_for_work(engine) as new_work:
        assert not new_work.wait(0.05)
        timer = threading.Timer(0.2, queue, args=[1])
        timer.start()
        began = time.monotonic()
        assert new_work.wait(LONG_S)
        assert time.monotonic() - began < 5
        timer.join()


def test_a_listener_whose_connection_is_cut_is_told(engine):
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where query ilike 'listen hema%%' and datname = current_database()"
    )

    def listen():
        with listen_for_work(engine) as new_work:
            with unit_of_work(engine) as connection:
                connection.exec_driver_sql(cut)
            new_work.wait(LONG_S)

    with pytest.raises(TransientError):
        listen()
