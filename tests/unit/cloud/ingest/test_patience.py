"""Trouble that passes is waited out and seen; a stop ends the wait."""

import threading

import pytest

from hemaline_cloud.ingest.patience import Patience, Stopped
from hemaline_shared.errors import PermanentError, TransientError


def failing(times, error):
    failures = iter([error] * times)

    def attempt():
        for failure in failures:
            raise failure
        return "done"

    return attempt


def test_an_attempt_is_repeated_until_it_works():
    patience = Patience()
    assert patience.insist("store", failing(2, TransientError("full", "no space"))) == "done"
    assert patience.problem() is None


def test_what_no_retry_helps_is_not_repeated():
    with pytest.raises(PermanentError):
        Patience().insist("store", failing(1, PermanentError("wrong", "wrong")))


def test_the_trouble_is_told_while_it_lasts_and_a_stop_ends_it():
    patience = Patience()
    tried = threading.Event()
    ended = []

    def attempt():
        tried.set()
        raise TransientError("full", "no space")

    def insist():
        with pytest.raises(Stopped):
            patience.insist("store", attempt)
        ended.append(patience.problem())

    thread = threading.Thread(target=insist)
    thread.start()
    assert tried.wait(5)
    patience.stop()
    thread.join(5)
    assert ended == ["no space"]
