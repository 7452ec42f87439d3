"""Rows of features, kept where they were made before."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaline_train.classical.features import Describe, Matrix

VERSION = 1
"""Raise it with every change of what a description gives: rows of another version are not read."""


@dataclass(frozen=True, slots=True)
class Description:
    """A way of describing pictures, under the name by which its rows are kept."""

    name: str
    describe: Describe
    kept: bool = True

    def rows(self, pixels: NDArray[np.uint8], cache: Path) -> Matrix:
        """Return the rows of these pixels, from the cache where they were made before.

        Args:
            pixels: Shape (n, height, width, 3).
            cache: A directory.
        """
        if not self.kept:
            return self.describe(pixels)
        file = cache / f"features-{self.name}-{VERSION}-{_fingerprint(pixels)}.npy"
        if not file.exists():
            cache.mkdir(parents=True, exist_ok=True)
            rows = self.describe(pixels)
            with tempfile.NamedTemporaryFile(dir=cache, suffix=".npy", delete=False) as draft:
                np.save(draft, rows)
            Path(draft.name).replace(file)
        loaded: Matrix = np.load(file)
        return loaded


def _fingerprint(pixels: NDArray[np.uint8]) -> str:
    """Stand for the pictures: one pixel in 64 of each, for a set has hundreds of megabytes."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels[:, ::8, ::8]).tobytes())
    return digest.hexdigest()[:16]
