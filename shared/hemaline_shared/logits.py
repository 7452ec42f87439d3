"""How the logits of several questions are read: the same in training as in serving."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray


def slices(labels: Mapping[str, int]) -> dict[str, slice]:
    """Return where each question's logits lie.

    Args:
        labels: Question -> how many labels it has, in the order of the logits.
    """
    ends = accumulate(labels.values())
    return {
        name: slice(end - count, end)
        for (name, count), end in zip(labels.items(), ends, strict=True)
    }


def softmax(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return probabilities, shape (n, labels), in double precision.

    Args:
        logits: Shape (n, labels).
        temperature: What they are divided by first.
    """
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)
