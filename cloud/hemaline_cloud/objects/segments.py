"""Segment files of the directory store: the objects of one batch, one after another in one file.

An object in a segment is found by its key alone, `segments/{hour}/{id}/{start}-{size}`: no index
can be lost. Before each object stands a mark that says whether it is still there, and its size.
"""

import ctypes
import errno
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hemaline_shared.ids import new_id

_PATH = r"segments/\d{10}/[0-9a-f-]{36}"
_KEY = re.compile(rf"({_PATH})/(\d{{1,12}})-(\d{{1,12}})")
_THERE, _DELETED = b"HEMA", b"GONE"
_HEAD = struct.Struct("<4sQ")
_PARTS_AT_ONCE = 512  # of one writev; the kernel takes 1024
_KEEP_SIZE, _PUNCH_HOLE = 1, 2


@dataclass(frozen=True, slots=True)
class SegmentPlace:
    """Where an object lies: `start` is that of its mark, `size` its own."""

    path: str
    start: int
    size: int


def place_of(key: str) -> SegmentPlace | None:
    """Return where a key of a segment's object leads; None for any other key."""
    found = _KEY.fullmatch(key)
    return SegmentPlace(found[1], int(found[2]), int(found[3])) if found else None


def is_segment(path: str) -> bool:
    """Whether a path below the store is that of a segment."""
    return re.fullmatch(_PATH, path) is not None


def new_segment() -> str:
    """Return the path of a segment that nobody has; an hour's segments share a folder."""
    return f"segments/{datetime.now(UTC):%Y%m%d%H}/{new_id()}"


def write_segment(root: Path, path: str, objects: Sequence[bytes]) -> list[str]:
    """Write objects into a new file and sync it; return their keys. The folder is the caller's.

    Nothing refers to the file before its keys are committed, so it needs no other name meanwhile.

    Raises:
        OSError: It is not there then.
    """
    file = root / path
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write_all(
            descriptor,
            [part for data in objects for part in (_HEAD.pack(_THERE, len(data)), data)],
        )
        os.fsync(descriptor)
    except OSError:
        file.unlink(missing_ok=True)  # a full disk must not fill further
        raise
    finally:
        os.close(descriptor)
    keys, start = [], 0
    for data in objects:
        keys.append(f"{path}/{start}-{len(data)}")
        start += _HEAD.size + len(data)
    return keys


def keys_in(root: Path, path: str) -> list[tuple[str, int]]:
    """Return the keys and sizes of the objects that are in a segment.

    Raises:
        OSError: It cannot be read.
    """
    with (root / path).open("rb") as file:
        heads = list(_heads(file.fileno()))
    return [(f"{path}/{start}-{size}", size) for start, mark, size in heads if mark == _THERE]


def read_object(root: Path, place: SegmentPlace) -> bytes | None:
    """Return an object of a segment; None where it was deleted or never was."""
    try:
        with (root / place.path).open("rb") as file:
            file.seek(place.start)
            head, data = file.read(_HEAD.size), file.read(place.size)
    except FileNotFoundError:
        return None
    whole = head == _HEAD.pack(_THERE, place.size) and len(data) == place.size
    return data if whole else None


def has_object(root: Path, place: SegmentPlace) -> bool:
    """Whether an object is there, by its mark."""
    try:
        with (root / place.path).open("rb") as file:
            file.seek(place.start)
            return file.read(_HEAD.size) == _HEAD.pack(_THERE, place.size)
    except FileNotFoundError:
        return False


def delete_object(root: Path, place: SegmentPlace) -> None:
    """Mark an object as deleted and give its space back to the disk, or overwrite it there.

    The file goes with the last of its objects.

    Raises:
        OSError: It may be there still.
    """
    if not has_object(root, place):
        return
    path = root / place.path
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.pwrite(descriptor, _DELETED, place.start)
        start = place.start + _HEAD.size
        if not _punch_hole(descriptor, start, place.size):
            os.pwrite(descriptor, bytes(place.size), start)
        os.fsync(descriptor)
        if not _has_any(descriptor):
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _has_any(descriptor: int) -> bool:
    return any(mark == _THERE for _, mark, _ in _heads(descriptor))


def _heads(descriptor: int) -> Iterator[tuple[int, bytes, int]]:
    """Give where each object's mark stands, the mark, and the object's size."""
    start = 0
    while len(head := os.pread(descriptor, _HEAD.size, start)) == _HEAD.size:
        mark, size = _HEAD.unpack(head)
        yield start, mark, size
        start += _HEAD.size + size


def _write_all(descriptor: int, parts: list[bytes]) -> None:
    for first in range(0, len(parts), _PARTS_AT_ONCE):
        some = parts[first : first + _PARTS_AT_ONCE]
        wanted = sum(map(len, some))
        written = os.writev(descriptor, some)
        if written < wanted:  # a disk that fills up writes a part, and tells at the next call
            rest = memoryview(b"".join(some))[written:]
            while rest:
                rest = rest[os.write(descriptor, rest) :]


def _find_fallocate() -> Callable[..., int] | None:
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "fallocate"):
        return None
    found: Callable[..., int] = library.fallocate
    return found


_fallocate = _find_fallocate()


def _punch_hole(descriptor: int, start: int, size: int) -> bool:
    """Whether the file system took the bytes back; the hole reads as zeros."""
    if _fallocate is None or size == 0:
        return size == 0
    mode = _KEEP_SIZE | _PUNCH_HOLE
    if _fallocate(descriptor, mode, ctypes.c_int64(start), ctypes.c_int64(size)) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.EOPNOTSUPP, errno.ENOSYS}:
        return False
    raise OSError(number, os.strerror(number), "while an object was deleted")
