"""The window of messages under way."""

import time

import pytest

from hemaline_edge.publisher.window import Window
from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.records import Entry
from hemaline_shared.ids import new_id


def entry(position, size=100):
    return Entry(position, new_id(), "field", size, "0" * 64)


@pytest.fixture
def window():
    settings = PublisherSettings(
        window_messages=3, window_bytes=1000, receipt_timeout_s=10, slowest_resend_s=40
    )
    return Window(settings)


def waits(window, message):
    """How long each next try is away."""
    for _ in range(8):
        window.postpone(message)
        yield message.due_at - time.monotonic()


def test_it_takes_so_many_messages_and_bytes_and_one_of_any_size(window):
    window.add(entry(1, size=5000))
    assert not window.has_room()
    window.remove(next(iter(window)).entry.message_id)
    for position in (2, 3, 4):
        assert window.has_room()
        window.add(entry(position))
    assert not window.has_room()
    assert window.last_position == 4


def test_it_waits_ever_longer_up_to_a_limit_and_never_less_than_a_receipt_may_take(window):
    window.add(entry(1))
    (message,) = window
    found = list(waits(window, message))
    assert all(9.9 <= wait <= 50.1 for wait in found)
    spreads = [[next(iter(waits(window, message))) for _ in range(20)] for _ in range(2)]
    assert max(map(max, spreads)) > 25, "late tries spread over the whole range"


def test_two_devices_do_not_come_back_in_step(window):
    for position in (1, 2, 3):
        window.add(entry(position))
    for message in window:
        window.postpone(message)
    window.reconnected()
    due = [message.due_at for message in window]
    assert len(set(due)) == 3
    assert all(moment <= time.monotonic() + 1 for moment in due)
