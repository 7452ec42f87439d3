"""Rows of features, kept where they were made before."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaline_train.classical.features import Describe, Matrix

_CODE = Path(__file__).parent


def described(name: str, describe: Describe, pixels: NDArray[np.uint8], cache: Path) -> Matrix:
    """Return `describe(pixels)`, from the cache where the same code saw the same pixels.

    Args:
        name: Of the description.
        describe: Computes it.
        pixels: Shape (n, height, width, 3).
        cache: A directory.
    """
    file = cache / f"features-{name}-{_fingerprint(pixels)}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        rows = describe(pixels)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".npy", delete=False) as draft:
            np.save(draft, rows)
        Path(draft.name).replace(file)
    return np.asarray(np.load(file), np.float64)


_MODULES = ("masks", "kmeans", "lbg", "canny_watershed", "otsu", "shape", "texture", "colour")


def _fingerprint(pixels: NDArray[np.uint8]) -> str:
    """Stand for the pixels and for the code: a change of either makes the rows anew."""
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes())
    for module in (*_MODULES, "features"):
        digest.update((_CODE / f"{module}.py").read_bytes())
    return digest.hexdigest()[:16]
