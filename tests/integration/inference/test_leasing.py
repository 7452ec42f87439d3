"""A worker whose connection breaks at a commit knows in the end what it holds."""

import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.inference import leasing, settling
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.leasing import Leaser, Serving
from hemaline_cloud.retrying import Retrier
from hemaline_shared.errors import TransientError
from parts.appointed import appointed
from parts.queued import PREDICTIONS, STATES, queue_field, smooth_crops


class _Clock:
    """Stands in for the module `time`: it goes on when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = _Clock()
    monkeypatch.setattr(leasing, "time", clock)
    return clock


@pytest.fixture
def leases(engine, settings):
    """Run a leaser that takes fields and does nothing with them; return it and what it took."""
    appointed(settings.database_url.get_secret_value(), settings.bundle)
    serving = Serving("tiny-1", load_bundle(settings.bundle).sha256, "active", 900)

    @contextmanager
    def running(*, holdings=None, lease_s=600):
        taken, retrier = [], Retrier("queue")
        held = holdings or Holdings(99, 10**9)
        leaser = Leaser(engine, "w1", lease_s, ("1",), serving, held, taken.append, retrier)
        thread = threading.Thread(target=leaser.run)
        thread.start()
        try:
            yield leaser, taken
        finally:
            retrier.stop()
            thread.join()

    return running


@pytest.fixture
def broken_commits(monkeypatch):
    """Let a module's first transaction with such a statement look as if it were not committed."""

    def install(module, statement):
        broken = []

        @contextmanager
        def unsure(engine):
            seen = []
            with unit_of_work(engine) as connection:
                event.listen(
                    connection, "before_cursor_execute", lambda *args: seen.append(args[2].lower())
                )
                yield connection
            if not broken and any(one.startswith(statement) for one in seen):
                broken.append(True)
                raise TransientError("database-unavailable", "the connection broke")

        monkeypatch.setattr(module, "unit_of_work", unsure)
        return broken

    return install


def test_a_lease_whose_commit_was_not_heard_of_is_not_left_to_expire(
    engine, store, query, until, broken_commits, leases
):
    for seed in range(3):
        queue_field(engine, store, smooth_crops(1, seed))
    broken = broken_commits(leasing, "update work")
    with leases() as (_, taken):
        until(lambda: len(taken) == 3)
    assert broken
    assert {field.lease.alone for field in taken} == {False}
    assert query("select distinct leased_by, attempts, suspected from work") == [("w1", 0, False)]


def test_a_result_whose_commit_was_not_heard_of_is_written_once(
    engine, store, settings, running, query, drained, until, broken_commits
):
    broken = broken_commits(settling, "delete from work")
    for seed in range(3):
        queue_field(engine, store, smooth_crops(2, seed))
    with running(settings):
        drained()
        until(lambda: query(STATES) == [("result", None, 3)])
    assert broken
    assert query(PREDICTIONS) == [(6, 6)]
    assert query("select max(revision) from result_revisions") == [(1,)]


_HELD_SINCE = "select frame_id, leased_at from work where leased_by = 'w1' order by 1"


def test_a_lease_is_extended_at_once_and_then_when_a_third_of_it_is_over(
    engine, store, query, until, leases, clock
):
    def goes_on():
        """Let the leaser take one more field: it has looked at what is due meanwhile."""
        before = len(taken)
        queue_field(engine, store, smooth_crops(1, before))
        until(lambda: len(taken) == before + 1)
        queue_field(engine, store, smooth_crops(1, before + 1))
        until(lambda: len(taken) == before + 2)

    first = queue_field(engine, store, smooth_crops(1))
    with leases(lease_s=600) as (_, taken):
        until(lambda: len(taken) == 1)
        goes_on()
        held = dict(query(_HELD_SINCE))[first]
        for now in (1000.0, 1150.0, 1199.0):
            clock.now = now
            goes_on()
            assert dict(query(_HELD_SINCE))[first] == held
        clock.now = 1200.0
        until(lambda: dict(query(_HELD_SINCE))[first] > held)
        held = dict(query(_HELD_SINCE))[first]
        clock.now = 1399.0
        goes_on()
        assert dict(query(_HELD_SINCE))[first] == held
        clock.now = 1401.0
        until(lambda: dict(query(_HELD_SINCE))[first] > held)


def test_what_another_worker_has_taken_over_is_held_no_longer(
    engine, store, query, until, leases, clock
):
    ours, theirs = (queue_field(engine, store, smooth_crops(1, seed)) for seed in range(2))
    holdings = Holdings(99, 10**9)
    with leases(holdings=holdings, lease_s=600) as (_, taken):
        until(lambda: len(taken) == 2)
        with unit_of_work(engine) as connection:
            connection.exec_driver_sql(
                f"update work set leased_by = 'w2' where frame_id = '{theirs}'"
            )

        def time_passes_until_it_is_seen() -> bool:
            clock.now += 600  # again and again: an extension may be under way meanwhile
            return holdings.frame_ids() == [ours]

        until(time_passes_until_it_is_seen)
        assert query("select count(*) from work where leased_by = 'w2'") == [(1,)]


def test_what_waits_for_another_worker_is_told_at_once_and_measured_anew_now_and_then(
    engine, store, until, leases, clock
):
    queue_field(engine, store, smooth_crops(1), pixel_pipeline="2")
    with leases() as (leaser, taken):
        until(lambda: "1 of pixel pipeline 2" in (leaser.parked() or ""))
        queue_field(engine, store, smooth_crops(1, 1), pixel_pipeline="2")
        queue_field(engine, store, smooth_crops(1, 2))
        until(lambda: len(taken) == 1)
        assert "1 of pixel pipeline 2" in leaser.parked()
        clock.now += 6
        until(lambda: "2 of pixel pipeline 2" in leaser.parked())


def test_a_worker_without_room_keeps_its_one_connection_for_news(
    engine, store, until, leases, monkeypatch
):
    listening, tried = [], []
    listen = leasing.listen_for_work
    monkeypatch.setattr(
        leasing, "listen_for_work", lambda engine: (listening.append(1), listen(engine))[1]
    )

    class Full(Holdings):
        def wait_for_room(self, timeout_s):
            tried.append(1)
            return super().wait_for_room(timeout_s)

    holdings = Full(1, 10**9)
    queue_field(engine, store, smooth_crops(1))
    with leases(holdings=holdings, lease_s=0.3) as (_, taken):
        until(lambda: len(taken) == 1)
        before = len(tried)
        until(lambda: len(tried) > before + 5)
        assert listening == [1]


_CUT_LISTENER = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where query ilike 'listen hema%' and datname = current_database()"
)


def test_a_worker_whose_connection_for_news_is_cut_goes_on(engine, store, query, until, leases):
    with leases() as (_, taken):
        until(lambda: query(_CUT_LISTENER) == [(1,)])
        queue_field(engine, store, smooth_crops(1))
        until(lambda: len(taken) == 1)


def test_what_cannot_be_given_back_is_left_to_expire_and_the_log_says_so(
    engine, store, query, until, leases, broken_commits, caplog
):
    queue_field(engine, store, smooth_crops(1))
    with leases() as (leaser, taken):
        until(lambda: len(taken) == 1)
    broken_commits(leasing, "update work")
    leaser.release_all(suspected=False)
    assert "leases are left to expire" in caplog.text
