"""Trouble that passes is waited out, seen by readiness, and given up only when asked."""

import threading

import pytest

from hemaline_cloud.inference.retrying import GivenUpError, Patience
from hemaline_shared.errors import PermanentError, TransientError


def test_it_tries_again_until_it_works_and_says_so_meanwhile():
    patience = Patience("database", threading.Event())
    problems = []

    def action():
        problems.append(patience.problem())
        if len(problems) < 3:
            raise TransientError("database-unavailable", "PostgreSQL is away")
        return "done"

    assert patience.call(action) == "done"
    assert problems == [None, "PostgreSQL is away", "PostgreSQL is away"]
    assert patience.problem() is None


def test_it_gives_up_when_the_worker_stops():
    given_up = threading.Event()
    given_up.set()

    def action():
        raise TransientError("database-unavailable", "PostgreSQL is away")

    with pytest.raises(GivenUpError):
        Patience("database", given_up).call(action)


def test_what_no_retry_helps_is_not_retried():
    calls = []

    def action():
        calls.append(1)
        raise PermanentError("object-missing", "gone")

    with pytest.raises(PermanentError):
        Patience("object store", threading.Event()).call(action)
    assert calls == [1]
