import threading
import time

import pytest

from hemaline_cloud.api.field_images import FieldImageReader
from hemaline_cloud.database.reading.fields import StoredObject
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.packing import FieldImages, pack, sha256_hex


class Shelf:
    """Objects by key, and which were read."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read: list[str] = []

    def add(self, key: str, size: int = 100) -> StoredObject:
        packed = pack(FieldImages(key.encode() * size, (b"crop",)))
        self.objects[key] = packed
        return StoredObject(key, len(packed), sha256_hex(packed))

    def get(self, key: str) -> bytes:
        self.read.append(key)
        time.sleep(0.01)
        return self.objects[key]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_a_field_is_read_once_however_many_ask_at_the_same_moment(shelf: Shelf):
    stored = shelf.add("a")
    reader = FieldImageReader(shelf.get)
    threads = [threading.Thread(target=reader.read, args=(stored,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shelf.read == ["a"]


def test_memory_is_bounded_and_the_longest_unused_field_goes_first(shelf: Shelf):
    a, b, c = (shelf.add(key) for key in "abc")
    reader = FieldImageReader(shelf.get, capacity_bytes=2 * a.size)
    for stored in (a, b, a, c, a, b):
        reader.read(stored)
    assert shelf.read == ["a", "b", "c", "b"]


def test_a_field_larger_than_the_memory_is_served_all_the_same(shelf: Shelf):
    stored = shelf.add("a")
    reader = FieldImageReader(shelf.get, capacity_bytes=10)
    assert [reader.read(stored).crops for _ in range(2)] == [(b"crop",)] * 2
    assert shelf.read == ["a", "a"]


def test_what_no_longer_has_its_hash_is_refused(shelf: Shelf):
    stored = shelf.add("a")
    shelf.objects["a"] = shelf.objects["a"][:-1] + b"x"
    with pytest.raises(PermanentError) as caught:
        FieldImageReader(shelf.get).read(stored)
    assert caught.value.reason == "object-corrupt"


def test_a_failed_read_is_tried_again_at_the_next_request(shelf: Shelf):
    stored = shelf.add("a")
    failures = [TransientError("object-store-unavailable", "away")]

    def get(key: str) -> bytes:
        if failures:
            raise failures.pop()
        return shelf.get(key)

    reader = FieldImageReader(get)
    with pytest.raises(TransientError):
        reader.read(stored)
    assert reader.read(stored).crops == (b"crop",)
