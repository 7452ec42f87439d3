"""The window of messages under way."""

import math
import time

import pytest

from hemaline_edge.publisher.window import Stage, Window
from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.records import Entry
from hemaline_shared.ids import new_id


def entry(position, size=100):
    return Entry(position, new_id(), "field", size, size, "0" * 64)


@pytest.fixture
def window():
    settings = PublisherSettings(
        window_messages=3, window_bytes=1000, receipt_timeout_s=10, slowest_resend_s=40
    )
    return Window(settings)


def filled(window, count=1, *, uploads=False):
    for position in range(count):
        window.add(entry(position), uploads=uploads)
    return window.active


def waits(window, message):
    """How long each next try is away."""
    for _ in range(8):
        window.postpone(message)
        yield message.due_at - time.monotonic()


def test_it_takes_so_many_messages_and_bytes_and_one_of_any_size(window):
    window.add(entry(1, size=5000), uploads=False)
    assert not window.has_room(uploads=False)
    window.remove(window.active[0].entry.message_id)
    for position in (2, 3, 4):
        assert window.has_room(uploads=False)
        window.add(entry(position), uploads=False)
    assert not window.has_room(uploads=False)


def test_a_full_lane_leaves_the_other_free(window):
    filled(window, 3, uploads=True)
    assert not window.has_room(uploads=True)
    assert window.has_room(uploads=False)


def test_one_that_failed_makes_room_until_its_time_has_come(window):
    first, *_ = filled(window, 3)
    window.set_waiting(first)
    assert window.has_room(uploads=False)
    assert first.entry.message_id in window.ids
    first.due_at = time.monotonic()
    window.resume()
    assert first in window.active


def test_one_whose_time_has_come_waits_for_room(window):
    first, *_ = filled(window, 3)
    window.set_waiting(first)
    first.due_at = time.monotonic()
    window.add(entry(9), uploads=False)
    window.resume()
    assert first not in window.active
    assert window.next_due_at() <= time.monotonic()


def test_failures_wait_ever_longer(window):
    (message,) = filled(window)
    found = []
    for _ in range(6):
        window.set_waiting(message)
        found.append(message.due_at - time.monotonic())
    assert 4.9 <= found[0] <= 10.1
    assert 19 <= found[-1] <= 40.1


def test_a_lane_in_which_very_many_wait_takes_nothing_new(window):
    for position in range(1000):
        window.add(entry(position), uploads=True)
        window.set_waiting(window.active[0])
    assert not window.takes_new(uploads=True)
    assert window.takes_new(uploads=False)


def test_it_waits_ever_longer_up_to_a_limit_and_never_less_than_a_receipt_may_take(window):
    (message,) = filled(window)
    found = list(waits(window, message))
    assert all(9.9 <= wait <= 50.1 for wait in found)
    spreads = [[next(iter(waits(window, message))) for _ in range(20)] for _ in range(2)]
    assert max(map(max, spreads)) > 25, "late tries spread over the whole range"


def test_the_time_for_an_answer_begins_when_the_broker_has_the_message(window):
    (message,) = filled(window)
    window.handed_over(message, Stage.RECEIPT, 1, 100)
    assert message.due_at == math.inf
    window.acknowledged(message)
    assert 9.9 <= message.due_at - time.monotonic() <= 20.1


def test_two_devices_do_not_come_back_in_step(window):
    for message in filled(window, 3):
        window.handed_over(message, Stage.RECEIPT, 1, 100)
    window.disconnected(1)
    window.connected(session_goes_on=True)
    due = [message.due_at for message in window.active]
    assert len(set(due)) == 3
    assert all(moment <= time.monotonic() + 1 for moment in due)


def test_what_the_broker_had_acknowledged_keeps_its_time_where_answers_are_kept(window):
    kept, lost = filled(window, 2)
    for message in (kept, lost):
        window.handed_over(message, Stage.RECEIPT, 1, 100)
    window.acknowledged(kept)
    due_at = kept.due_at
    assert window.disconnected(1) == [lost]
    window.connected(session_goes_on=True)
    assert kept.due_at == due_at
    window.connected(session_goes_on=False)
    assert kept.due_at < time.monotonic() + 1.1


def test_what_a_newer_connection_carries_is_not_lost_with_the_older(window):
    (message,) = filled(window)
    window.handed_over(message, Stage.RECEIPT, 2, 100)
    assert window.disconnected(1) == []
    window.connected(session_goes_on=True)
    assert message.due_at == math.inf


def test_one_that_failed_is_not_let_in_before_its_time_though_there_is_room(window):
    (message,) = filled(window)
    window.set_waiting(message)
    window.resume()
    assert window.active == []
    assert window.get(message.entry.message_id) is message


def test_what_the_window_knows_is_found_and_what_was_removed_is_not(window):
    (message,) = filled(window)
    assert window.get(message.entry.message_id) is message
    window.remove(message.entry.message_id)
    assert window.get(message.entry.message_id) is None


def test_a_first_failure_waits_half_the_time_of_a_receipt_or_up_to_all_of_it(window):
    for message in filled(window, 200):
        window.set_waiting(message)
        assert 4.9 <= message.due_at - time.monotonic() <= 10.1


def test_a_lane_that_one_more_message_changed_to_has_no_room(window):
    first, *_ = filled(window, 1, uploads=True)
    filled(window, 3)
    first.uploads = False
    assert not window.has_room(uploads=False)


def test_what_was_not_handed_over_is_not_lost_with_a_connection(window):
    filled(window)
    assert window.disconnected(1) == []


def test_what_an_older_connection_carried_is_lost_with_the_newer(window):
    (message,) = filled(window)
    window.handed_over(message, Stage.RECEIPT, 1, 100)
    assert window.disconnected(2) == [message]
