"""Group pictures that look the same, where nobody published which patient they are of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.connected import first_connected
from hemaline_train.data.leakage import ALIKE_BITS, HASH_BITS

_ROWS_AT_ONCE = 2048


def group_lookalikes(hashes: NDArray[np.float32], links: Sequence[str]) -> list[str]:
    """Name a group for each picture: pictures that look alike or share a link are in one.

    Args:
        hashes: `perceptual_hash` of each picture, shape (n, HASH_BITS).
        links: Of each picture; empty ones join nothing.

    Returns:
        The same names for the same pictures in the same order.
    """
    linked: dict[str, int] = {}
    pairs = [(linked.setdefault(link, place), place) for place, link in enumerate(links) if link]
    first = first_connected(range(len(hashes)), [*pairs, *_alike(hashes)])
    return [f"look-{first[place]:06d}" for place in range(len(hashes))]


def _alike(hashes: NDArray[np.float32]) -> list[tuple[int, int]]:
    signs = np.asarray(hashes * 2 - 1, np.float32)
    least = HASH_BITS - 2 * ALIKE_BITS
    pairs = []
    for start in range(0, len(signs), _ROWS_AT_ONCE):
        agreement = signs[start : start + _ROWS_AT_ONCE] @ signs[start:].T
        for row, column in np.argwhere(agreement >= least).tolist():
            if column > row:
                pairs.append((start + row, start + column))
    return pairs
