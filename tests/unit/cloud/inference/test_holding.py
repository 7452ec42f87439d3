"""What a worker holds is bounded, and room is announced."""

import threading
import time
from uuid import uuid4

import pytest

from hemaline_cloud.database.work import LeasedField
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.reading import HeldField


def _held(cells, **changes):
    values = {"site": "lab", "device": "scope", "object_size": 100, "width": 10, "height": 10}
    lease = LeasedField(
        uuid4(),
        uuid4(),
        object_key="key",
        object_sha256="0" * 64,
        pixel_pipeline="1",
        **values | changes,
    )
    return HeldField(lease, tuple(uuid4() for _ in range(cells)))


@pytest.fixture
def holdings():
    return Holdings(enough_cells=10, enough_bytes=1_000_000)


def test_there_is_room_until_enough_cells_are_held(holdings):
    holdings.add([_held(9)])
    assert holdings.wait_for_room(0)
    holdings.add([_held(1)])
    assert not holdings.wait_for_room(0)


def test_fields_without_cells_are_bounded_too(holdings):
    holdings.add([_held(0) for _ in range(63)])
    assert holdings.wait_for_room(0)
    holdings.add([_held(0)])
    assert not holdings.wait_for_room(0)


def test_bytes_are_bounded_by_packed_images_and_decoded_fields(holdings):
    holdings.add([_held(1, object_size=400_000, width=400, height=400)])
    assert holdings.room_bytes() == 1_000_000 - 400_000 - 3 * 400 * 400
    assert holdings.wait_for_room(0)
    large = _held(1, object_size=120_000 - 3 * 100, width=10, height=10)
    holdings.add([large])
    assert holdings.room_bytes() == 0
    assert not holdings.wait_for_room(0)
    holdings.remove([large.lease.frame_id])
    assert holdings.wait_for_room(0)


def test_a_field_that_is_held_alone_leaves_no_room(holdings):
    holdings.add([_held(1, alone=True)])
    assert not holdings.wait_for_room(0)


def test_what_ends_makes_room_and_wakes_who_waits(holdings):
    field = _held(10)
    holdings.add([field])
    timer = threading.Timer(0.05, holdings.remove, [[field.lease.frame_id, uuid4()]])
    timer.start()
    began = time.monotonic()
    assert holdings.wait_for_room(60)
    assert holdings.wait_until_empty(60)
    assert time.monotonic() - began < 30, "it was not woken"
    assert holdings.frame_ids() == []


def test_a_wait_for_the_end_does_not_last_for_ever(holdings):
    holdings.add([_held(1)])
    assert not holdings.wait_until_empty(0.01)
