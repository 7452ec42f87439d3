"""The heat maps of a field's cells as a row holds them: sixteen shades, as an eye tells apart."""

from collections.abc import Sequence

import numpy as np

_STEP = 17  # 255 / 15


def pack_heats(maps: Sequence[bytes | None]) -> bytes | None:
    """Return maps of a byte a square, one after the other, two squares in a byte.

    The first of two squares is the higher half. All maps are of one size; one that is missing is
    stored as zeros, and None is returned where all are.
    """
    size = max((len(one) for one in maps if one), default=0)
    if not size:
        return None
    return b"".join(_pack(one or bytes(size)) for one in maps)


def unpack_heats(packed: bytes, width: int, cells: int) -> list[bytes | None]:
    """Return the map of each of so many cells: a byte a square, whole rows of so many squares."""
    pairs = np.frombuffer(packed, np.uint8).reshape(cells, -1)
    squares = np.stack([pairs >> 4, pairs & 15], axis=2).reshape(cells, -1) * _STEP
    whole = squares[:, : squares.shape[1] // width * width].astype(np.uint8)
    return [one.tobytes() if one.any() else None for one in whole]


def _pack(squares: bytes) -> bytes:
    levels = np.rint(np.frombuffer(squares, np.uint8) / _STEP).astype(np.uint8)
    levels = np.append(levels, np.zeros(len(levels) % 2, np.uint8))
    return (levels[0::2] << 4 | levels[1::2]).tobytes()
