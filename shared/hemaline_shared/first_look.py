"""Which cells one network may answer alone: the same in training as in serving."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.logits import softmax
from hemaline_shared.model_manifest import FirstLook


def answered_alone(
    first: FirstLook, task: str, labels: Sequence[str], logits: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    """Return of which cells the other networks need not be asked, shape (n,).

    Each cell's own logits decide, and nothing of the cells beside it in a batch. What is no number
    is never enough.

    Args:
        first: The bundle's rule.
        task: The one that names cells.
        labels: Its labels.
        logits: What the first network gives them, shape (n, labels).
    """
    shares = softmax(logits, first.temperatures[task])
    least = np.array([first.enough.get(label, np.inf) for label in labels])
    return np.asarray(shares.max(axis=1) >= least[shares.argmax(axis=1)], np.bool_)
