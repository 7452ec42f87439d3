"""What a worker holds is bounded, and room is announced."""

import threading
from uuid import uuid4

from hemaline_cloud.database.work import LeasedField
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.reading import HeldField


def _held(cells):
    lease = LeasedField(uuid4(), uuid4(), "key", "0" * 64, 64, 48, "1", 1)
    return HeldField(lease, tuple(uuid4() for _ in range(cells)))


def test_there_is_room_until_enough_cells_are_held():
    holdings = Holdings(10)
    holdings.add([_held(9)])
    assert holdings.wait_for_room(0)
    holdings.add([_held(1)])
    assert not holdings.wait_for_room(0)


def test_fields_without_cells_are_bounded_too():
    holdings = Holdings(10)
    holdings.add([_held(0) for _ in range(64)])
    assert not holdings.wait_for_room(0)


def test_what_ends_makes_room_and_wakes_who_waits():
    holdings = Holdings(10)
    field = _held(10)
    holdings.add([field])
    timer = threading.Timer(0.05, holdings.remove, [[field.lease.frame_id, uuid4()]])
    timer.start()
    assert holdings.wait_for_room(10)
    assert holdings.wait_until_empty(10)
    assert holdings.frame_ids() == []


def test_a_wait_for_the_end_does_not_last_for_ever():
    holdings = Holdings(10)
    holdings.add([_held(1)])
    assert not holdings.wait_until_empty(0.01)
