"""How many requests one caller may make, and when the next."""

import pytest

from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.api.rate_limits import RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_steady_rate_for_each_caller_by_itself():
    clock = Clock()
    limit = RateLimit(burst=3, per_s=0.5, clock=clock)
    for _ in range(3):
        limit.take("ada")
    with pytest.raises(ProblemError) as refused:
        limit.take("ada")
    assert refused.value.status == 429
    assert refused.value.headers == {"Retry-After": "2"}
    limit.take("ben")
    clock.now = 2.0
    limit.take("ada")
    with pytest.raises(ProblemError):
        limit.take("ada")


def test_a_long_pause_allows_no_more_than_a_burst():
    clock = Clock()
    limit = RateLimit(burst=2, per_s=1, clock=clock)
    clock.now = 3600.0
    limit.take("ada")
    limit.take("ada")
    with pytest.raises(ProblemError):
        limit.take("ada")


def test_callers_are_forgotten_before_they_fill_the_memory():
    limit = RateLimit(burst=1, per_s=1)
    for number in range(10_050):
        limit.take(str(number))
    assert len(limit._left) == 10_000
