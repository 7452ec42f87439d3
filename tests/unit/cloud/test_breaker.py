"""The breaker trips when nearly everything is refused, and for no single device's sake."""

from hemaline_cloud.breaker import Breaker
from hemaline_shared.errors import TransientError
from hemaline_shared.topics import DeviceName

ONE, OTHER = DeviceName("lab", "scope-1"), DeviceName("lab", "scope-2")


def make(before=()):
    trips = []
    remedy = "Then: dead-letters retry --reason {reason}"
    return Breaker("messages", remedy, lambda: trips.append(1), lambda: before), trips


def count(breaker, name, refusal, times):
    for _ in range(times):
        breaker.count(name, refusal)


def test_it_trips_once_when_all_is_refused_and_says_why_and_what_to_do():
    breaker, trips = make()
    count(breaker, ONE, "wrong-hash", 49)
    assert breaker.problem() is None
    count(breaker, ONE, "wrong-hash", 5)
    assert trips == [1]
    assert "50 of the newest 50 messages, 50 of them as wrong-hash" in breaker.problem()
    assert "dead-letters retry --reason wrong-hash" in breaker.problem()


def test_one_device_that_floods_stops_no_other():
    breaker, trips = make()
    count(breaker, OTHER, None, 1)
    count(breaker, ONE, "not-cbor", 10_000)
    assert trips == []


def test_it_trips_where_several_devices_are_all_refused():
    breaker, trips = make()
    count(breaker, ONE, None, 30)
    count(breaker, OTHER, None, 30)
    count(breaker, ONE, "unexpected", 50)
    assert trips == []
    count(breaker, OTHER, "unexpected", 45)
    assert trips == [1]


def test_a_tenth_that_is_refused_is_no_reason_to_stop():
    breaker, trips = make()
    for _ in range(1000):
        count(breaker, ONE, None, 9)
        count(breaker, ONE, "wrong-hash", 1)
    assert trips == []


def test_devices_beyond_counting_are_forgotten_oldest_first():
    breaker, trips = make()
    count(breaker, OTHER, None, 50)
    for number in range(1000):
        breaker.count(DeviceName("lab", f"new-{number}"), "not-cbor")
    assert trips == [1]


REFUSED_BEFORE = [(ONE, "unexpected"), (OTHER, "unexpected")] * 25


def test_after_a_restart_with_the_cause_still_there_a_few_refusals_are_enough():
    breaker, trips = make(REFUSED_BEFORE)
    count(breaker, ONE, "unexpected", 2)
    assert trips == []
    count(breaker, ONE, "unexpected", 1)
    assert trips == [1]
    assert "53 of the newest 53 messages" in breaker.problem()


def test_after_a_restart_with_the_cause_mended_what_was_refused_before_is_forgotten():
    breaker, trips = make(REFUSED_BEFORE)
    count(breaker, ONE, None, 1)
    count(breaker, OTHER, None, 1)
    count(breaker, ONE, "wrong-hash", 8)  # of itself no reason to stop
    assert trips == []


def test_refusals_before_good_ones_stop_nobody():
    breaker, trips = make([*REFUSED_BEFORE, (ONE, None), (OTHER, None)] * 3)
    count(breaker, ONE, "wrong-hash", 3)
    assert trips == [1]  # nearly all of it was refused
    breaker, trips = make([*REFUSED_BEFORE, *[(ONE, None), (OTHER, None)] * 25])
    count(breaker, ONE, "wrong-hash", 3)
    assert trips == []


def test_what_was_before_is_asked_again_when_the_database_was_away():
    asked = []

    def before():
        asked.append(1)
        if len(asked) == 1:
            raise TransientError("database-unavailable", "it restarts")
        return REFUSED_BEFORE

    breaker = Breaker("messages", "", lambda: None, before)
    count(breaker, ONE, "unexpected", 5)
    assert len(asked) == 2
    assert breaker.problem()
