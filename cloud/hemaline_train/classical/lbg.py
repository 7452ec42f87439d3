"""Vector quantisation by Linde, Buzo and Gray (IEEE Trans. Commun. 1980;28:84-95)."""

import numpy as np
from numpy.typing import NDArray

_SPLIT = 0.01
"""How far, over each coordinate's spread, the halves of a split codeword start apart."""

Vectors = NDArray[np.float64]


def lbg_codebook(
    vectors: Vectors, size: int, tolerance: float = 1e-3, most_rounds: int = 20
) -> Vectors:
    """Grow a codebook by splitting every codeword and refining until the distortion settles.

    Args:
        vectors: Shape (n, dimensions).
        size: A power of two: how many codewords.
        tolerance: The relative gain in distortion below which refining stops.
        most_rounds: Of refining after each split.

    Returns:
        Shape (size, dimensions).
    """
    if size < 1 or size & (size - 1):
        raise ValueError(f"a codebook has 1, 2, 4, 8 … codewords, not {size}")
    book: Vectors = vectors.mean(axis=0, keepdims=True)
    apart = _SPLIT * (vectors.std(axis=0, keepdims=True) + 1e-6)
    while len(book) < size:
        book = _refined(
            vectors, np.concatenate([book - apart, book + apart]), tolerance, most_rounds
        )
    return book


def nearest_codeword(vectors: Vectors, book: Vectors) -> NDArray[np.intp]:
    """Return the place of each vector's codeword, shape (n,)."""
    return np.asarray(_distances(vectors, book).argmin(axis=1), np.intp)


def _refined(vectors: Vectors, book: Vectors, tolerance: float, most_rounds: int) -> Vectors:
    before = np.inf
    for _ in range(most_rounds):
        distances = _distances(vectors, book)
        places = distances.argmin(axis=1)
        distortion = float(distances[np.arange(len(vectors)), places].mean())
        counts = np.bincount(places, minlength=len(book))
        sums = np.stack(
            [np.bincount(places, column, minlength=len(book)) for column in vectors.T], axis=1
        )
        # A codeword that nobody chose stays where it is: dividing by nothing would lose it.
        book = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], book)
        if before - distortion <= tolerance * max(distortion, 1e-12):
            break
        before = distortion
    return book


def _distances(vectors: Vectors, book: Vectors) -> Vectors:
    """Return squared distances less each vector's own square, shape (n, codewords)."""
    return np.asarray(
        (vectors**2).sum(axis=1)[:, None] + (book**2).sum(axis=1) - 2 * vectors @ book.T
    )
