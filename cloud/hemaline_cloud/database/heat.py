"""A cell's heat map as a row holds it: sixteen shades, as many as an eye tells apart."""

import numpy as np

_STEP = 17  # 255 / 15


def pack_heat(squares: bytes) -> bytes:
    """Return squares of a byte each, two in a byte: the first of them in its higher half."""
    levels = np.rint(np.frombuffer(squares, np.uint8) / _STEP).astype(np.uint8)
    levels = np.append(levels, np.zeros(len(levels) % 2, np.uint8))
    return (levels[0::2] << 4 | levels[1::2]).tobytes()


def unpack_heat(packed: bytes, width: int) -> bytes:
    """Return a byte a square, of whole rows of so many."""
    pairs = np.frombuffer(packed, np.uint8)
    squares = np.stack([pairs >> 4, pairs & 15], axis=1).ravel() * _STEP
    return squares[: len(squares) // width * width].astype(np.uint8).tobytes()
