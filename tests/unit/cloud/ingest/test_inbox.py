"""The inbox: bounded, in order, and of one connection."""

import threading

import pytest

from hemaline_cloud.ingest.inbox import Inbox
from hemaline_shared.mqtt import Inbound


def message(number, connection=1):
    return Inbound("topic", bytes([number]), number, 1, connection, None)


def payloads(batch):
    return [delivery.inbound.payload[0] for delivery in batch]


def test_messages_are_taken_oldest_first_up_to_the_limit():
    inbox = Inbox(10)
    for number in range(5):
        inbox.put(message(number))
    assert payloads(inbox.take(3)) == [0, 1, 2]
    assert payloads(inbox.take(3)) == [3, 4]


def test_a_new_connection_forgets_what_came_on_the_one_before():
    inbox = Inbox(10)
    inbox.put(message(1))
    inbox.put(message(1, connection=2))
    inbox.put(message(2, connection=2))
    assert payloads(inbox.take(9)) == [1, 2]


def test_a_full_inbox_holds_the_network_thread_until_there_is_room():
    inbox = Inbox(1)
    inbox.put(message(1))
    network = threading.Thread(target=inbox.put, args=[message(2)])
    network.start()
    network.join(0.1)
    assert network.is_alive()
    assert payloads(inbox.take(1)) == [1]
    network.join(5)
    assert payloads(inbox.take(1)) == [2]


@pytest.mark.parametrize("waits", ["taker", "network"])
def test_closing_ends_every_wait(waits):
    inbox = Inbox(1)
    taken = []
    if waits == "network":
        inbox.put(message(1))
        thread = threading.Thread(target=inbox.put, args=[message(2)])
    else:
        thread = threading.Thread(target=lambda: taken.append(inbox.take(1)))
    thread.start()
    inbox.close()
    thread.join(5)
    assert not thread.is_alive()
    assert taken in ([], [[]])
    assert inbox.take(1) == []
