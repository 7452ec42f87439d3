"""Trouble that passes is waited out and told meanwhile; a stop ends the wait."""

import threading

import pytest

from hemaline_cloud.retrying import Retrier, StoppedError
from hemaline_shared.errors import PermanentError, TransientError
from parts.waiting import LONG_S


def test_it_tries_again_until_it_works_and_says_so_meanwhile():
    retrier = Retrier("database")
    problems = []

    def attempt():
        problems.append(retrier.problem())
        if len(problems) < 3:
            raise TransientError("database-unavailable", "PostgreSQL is away")
        return "done"

    assert retrier.retry_until_ok(attempt) == "done"
    assert problems == [None, "PostgreSQL is away", "PostgreSQL is away"]
    assert retrier.problem() is None


def test_what_meets_no_trouble_is_done_even_after_a_stop():
    retrier = Retrier("database")
    retrier.stop()
    assert retrier.stopped
    assert retrier.retry_until_ok(lambda: "done") == "done"


def test_what_no_retry_helps_is_not_retried():
    calls = []

    def attempt():
        calls.append(1)
        raise PermanentError("object-missing", "gone")

    with pytest.raises(PermanentError):
        Retrier("object store").retry_until_ok(attempt)
    assert calls == [1]


def test_a_stop_ends_a_wait_that_is_under_way():
    retrier = Retrier("store")
    tried = threading.Event()
    ended = []

    def attempt():
        tried.set()
        raise TransientError("full", "no space")

    def wait():
        with pytest.raises(StoppedError):
            retrier.retry_until_ok(attempt)
        ended.append(retrier.problem())

    thread = threading.Thread(target=wait)
    thread.start()
    assert tried.wait(LONG_S)
    retrier.stop()
    thread.join(LONG_S)
    assert ended == ["no space"]
