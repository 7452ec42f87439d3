"""What a graph said of each crop, kept: no crop is answered twice by the same weights."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hemaline_train.bundles.calibrate import Logits

CROPS, LOGITS, MAPS = "crops", "logits", "activation_maps"
"""The names of a serving graph's input and outputs."""


def run_graph(graph: bytes, pixels: NDArray[np.uint8], batch: int = 32) -> Logits:
    """Return a serving graph's logits for crops of shape (n, side, side, 3), on the CPU."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    parts = [
        session.run([LOGITS], {CROPS: np.ascontiguousarray(pixels[start : start + batch])})[0]
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts).astype(np.float64)


def run_graph_once(graph: bytes, pixels: NDArray[np.uint8], cache: Path, batch: int = 32) -> Logits:
    """Return what `run_graph` does, and run it only for crops that the cache has not.

    Args:
        graph: Its bytes, and those of a crop, name an answer.
        pixels: Shape (n, side, side, 3).
        cache: A directory; each graph has a file of its own in it.
        batch: How many crops run at once.
    """
    file = cache / f"answers-{hashlib.sha256(graph).hexdigest()[:16]}.npz"
    kept = _kept(file)
    names = [hashlib.sha256(crop.tobytes()).hexdigest() for crop in pixels]
    new = [place for place, name in enumerate(names) if name not in kept]
    if new:
        given = run_graph(graph, pixels[new], batch)
        kept |= {names[place]: row for place, row in zip(new, given, strict=True)}
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".npz", delete=False) as draft:
            np.savez(draft, names=np.array(list(kept)), logits=np.stack(list(kept.values())))
        Path(draft.name).replace(file)
    return np.stack([kept[name] for name in names])


def _kept(file: Path) -> dict[str, Logits]:
    if not file.exists():
        return {}
    with np.load(file) as held:
        return dict(zip(held["names"].tolist(), held["logits"], strict=True))
