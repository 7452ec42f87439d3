"""A worker whose connection breaks at a commit knows in the end what it holds."""

import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.inference import leasing, settling
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.leasing import Leaser
from hemaline_cloud.retrying import Retrier
from hemaline_shared.errors import TransientError
from parts.queued import PREDICTIONS, STATES, queue_field, smooth_crops


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
    engine, store, query, until, broken_commits
):
    for seed in range(3):
        queue_field(engine, store, smooth_crops(1, seed))
    taken, retrier = [], Retrier("queue")
    leaser = Leaser(engine, "w1", 600, ("1",), Holdings(99, 10**9), taken.append, retrier)
    broken = broken_commits(leasing, "update work")
    thread = threading.Thread(target=leaser.run)
    thread.start()
    try:
        until(lambda: len(taken) == 3)
    finally:
        retrier.stop()
        thread.join()
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
    assert query("select max(revision) from slide_results") == [(1,)]
