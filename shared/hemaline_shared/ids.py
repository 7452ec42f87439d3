"""Ids chosen once, at capture, so that every later write can be repeated without harm."""

import os
import time
from uuid import UUID, uuid5

_CELLS = UUID("5f0c1d52-6f0e-4b0e-9a55-3f1c0d7f8a01")
_CLOSINGS = UUID("5f0c1d52-6f0e-4b0e-9a55-3f1c0d7f8a02")


def new_id() -> UUID:
    """Return a UUID version 7 (RFC 9562): random, and sorted by the millisecond it was made in."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def cell_id(frame_id: UUID, index: int) -> UUID:
    """Return the id of a frame's cell, the same at every replay.

    It begins as its frame's id does, with the time, so that rows that come together lie together.
    """
    derived = uuid5(_CELLS, f"{frame_id}/{index}").int & (1 << 62) - 1
    return UUID(int=frame_id.int >> 64 << 64 | 0b10 << 62 | derived)


def closing_id(slide_id: UUID) -> UUID:
    """Return the id of the message that closes a slide, the same at every replay."""
    return uuid5(_CLOSINGS, str(slide_id))


def accession(slide_id: UUID) -> str:
    """Return the short name that people read and say: `S-` and eight of the id's random digits."""
    return f"S-{slide_id.hex[-8:].upper()}"
