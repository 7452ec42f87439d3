"""The inbox is bounded and of one connection; stages hand batches on in order, and tell faults."""

import threading
from queue import Queue

import pytest

from hemaline_cloud.ingest.stages import Handover, Inbox, Stage
from hemaline_cloud.retrying import StoppedError
from hemaline_shared.mqtt import Inbound
from parts.waiting import LONG_S


def message(number, connection=1):
    return Inbound("topic", bytes([number]), number, 1, connection, None)


def payloads(batch):
    return [delivery.inbound.payload[0] for delivery in batch]


def test_messages_are_taken_oldest_first_up_to_the_limit():
    inbox = Inbox(10, 1000)
    for number in range(5):
        inbox.put(message(number))
    assert payloads(inbox.take(3)) == [0, 1, 2]
    assert payloads(inbox.take(3)) == [3, 4]


def test_a_new_connection_forgets_what_came_on_the_one_before():
    inbox = Inbox(10, 1000)
    inbox.put(message(1))
    inbox.put(message(1, connection=2))
    inbox.put(message(2, connection=2))
    assert payloads(inbox.take(9)) == [1, 2]


def test_a_full_inbox_holds_the_network_thread_until_there_is_room():
    inbox = Inbox(1, 1000)
    inbox.put(message(1))
    network = threading.Thread(target=inbox.put, args=[message(2)])
    network.start()
    network.join(0.1)
    assert network.is_alive()
    assert payloads(inbox.take(1)) == [1]
    network.join(LONG_S)
    assert payloads(inbox.take(1)) == [2]


def test_messages_that_are_not_done_take_their_bytes_wherever_they_are():
    inbox = Inbox(10, 5)  # each message of one byte counts twice
    inbox.put(message(1))
    inbox.put(message(2))
    taken = inbox.take(9)
    network = threading.Thread(target=inbox.put, args=[message(3)])
    network.start()
    network.join(0.1)
    assert network.is_alive()
    inbox.done(taken[:1])
    network.join(LONG_S)
    assert payloads(inbox.take(9)) == [3]


def test_a_message_beyond_every_bound_is_let_in_alone():
    inbox = Inbox(10, 1)
    inbox.put(message(1))
    assert payloads(inbox.take(9)) == [1]


def test_what_a_lost_connection_left_waiting_takes_no_bytes():
    inbox = Inbox(10, 4)
    inbox.put(message(1))
    inbox.put(message(2))
    inbox.put(message(1, connection=2))
    inbox.put(message(2, connection=2))
    assert payloads(inbox.take(9)) == [1, 2]


@pytest.mark.parametrize("waits", ["taker", "network"])
def test_closing_ends_every_wait(waits):
    inbox = Inbox(1, 1000)
    taken = []
    if waits == "network":
        inbox.put(message(1))
        thread = threading.Thread(target=inbox.put, args=[message(2)])
    else:
        thread = threading.Thread(target=lambda: taken.append(inbox.take(1)))
    thread.start()
    inbox.close()
    thread.join(LONG_S)
    assert not thread.is_alive()
    assert taken in ([], [[]])
    assert inbox.take(1) == []


def run(work, batches):
    """Return what came out, how many faults were told, and whether the source was emptied."""
    source, sink, faults = Queue(), Queue(), []
    for batch in [*batches, []]:
        source.put(batch)
    stage = Stage("test", source.get, work, sink.put, lambda: faults.append(1))
    stage.start()
    assert stage.join(LONG_S)
    return list(sink.queue), len(faults), source.empty()


def fail(error):
    def work(_batch):
        raise error

    return work


def test_batches_keep_their_order_and_the_end_is_passed_on():
    doubled = run(lambda batch: [2 * item for item in batch], [[1, 2], [3]])
    assert doubled == ([[2, 4], [6], []], 0, True)


class Panic(BaseException):
    """What pyo3 raises where a library in Rust panics."""


@pytest.mark.parametrize("fault", [RuntimeError("a defect"), Panic("a defect of others")])
def test_a_fault_is_told_and_the_stage_before_is_let_go(fault):
    assert run(fail(fault), [[1], [2], [3]]) == ([[]], 1, True)


def test_a_stop_is_no_fault():
    assert run(fail(StoppedError()), [[1], [2]]) == ([[]], 0, True)


def test_a_batch_that_works_out_to_nothing_is_not_taken_for_the_end():
    assert run(lambda batch: batch[:0] if batch == [1] else batch, [[1], [2]]) == (
        [[2], []],
        0,
        True,
    )


def test_what_waits_between_stages_is_taken_together_and_bounded():
    handover = Handover(3)
    handover.put([1, 2])
    handover.put([3])
    third = threading.Thread(target=handover.put, args=[[4]])
    third.start()
    third.join(0.1)
    assert third.is_alive()
    assert handover.take() == [1, 2, 3]
    third.join(LONG_S)
    assert handover.take() == [4]


def test_what_came_before_the_end_is_taken_first():
    handover = Handover(3)
    handover.put([1])
    handover.put([])
    assert [handover.take(), handover.take(), handover.take()] == [[1], [], []]
