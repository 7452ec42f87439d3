"""A clock that cannot be right is told: by readiness as long as it lasts, once in the log."""

from datetime import UTC, datetime, timedelta

import pytest

from hemaline_edge import clock as module
from hemaline_edge.clock import Clock, impossible_time


@pytest.mark.parametrize("year", [1970, 1980, 2024, 2100, 9999])
def test_a_time_before_this_software_or_far_ahead_cannot_be_right(year):
    assert "set it" in impossible_time(datetime(year, 1, 1, tzinfo=UTC))


def test_any_other_time_may_be_right():
    assert impossible_time(datetime(2025, 1, 1, tzinfo=UTC)) is None
    assert impossible_time(datetime(2099, 12, 31, tzinfo=UTC)) is None
    assert impossible_time(datetime.now(UTC)) is None


def test_it_is_told_once_until_it_is_right_again(monkeypatch, caplog):
    class Time(datetime):
        at = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)

        @classmethod
        def now(cls, _zone):
            return cls.at

    monkeypatch.setattr(module, "datetime", Time)
    clock = Clock()
    assert [bool(clock.problem()) for _ in range(3)] == [True] * 3
    assert caplog.text.count("cannot be right") == 1
    Time.at += timedelta(days=20_500)
    assert clock.problem() is None
    Time.at -= timedelta(days=20_500)
    assert clock.problem()
    assert caplog.text.count("cannot be right") == 2
