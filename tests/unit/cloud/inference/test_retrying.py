"""Trouble that passes is waited out, seen by readiness, and given up only when asked."""

import pytest

from hemaline_cloud.inference.retrying import GivenUpError, Patience
from hemaline_shared.errors import PermanentError, TransientError


def test_it_tries_again_until_it_works_and_says_so_meanwhile():
    patience = Patience("database")
    problems = []

    def action():
        problems.append(patience.problem())
        if len(problems) < 3:
            raise TransientError("database-unavailable", "PostgreSQL is away")
        return "done"

    assert patience.call(action) == "done"
    assert problems == [None, "PostgreSQL is away", "PostgreSQL is away"]
    assert patience.problem() is None


def test_what_meets_no_trouble_is_done_even_after_giving_up():
    patience = Patience("database")
    patience.give_up()
    assert patience.given_up
    assert patience.call(lambda: "done") == "done"


def test_it_gives_up_when_the_worker_stops():
    patience = Patience("database")
    patience.give_up()

    def action():
        raise TransientError("database-unavailable", "PostgreSQL is away")

    with pytest.raises(GivenUpError):
        patience.call(action)


def test_what_no_retry_helps_is_not_retried():
    calls = []

    def action():
        calls.append(1)
        raise PermanentError("object-missing", "gone")

    with pytest.raises(PermanentError):
        Patience("object store").call(action)
    assert calls == [1]
