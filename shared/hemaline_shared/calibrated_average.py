"""What several networks say of one question together: the same in training as in serving."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.logits import softmax
from hemaline_shared.model_manifest import Calibration


def calibrated(
    logits: Mapping[str, NDArray[np.floating[Any]]], calibration: Mapping[str, Calibration]
) -> dict[str, NDArray[np.float64]]:
    """Return network name -> its probabilities, shape (n, labels).

    Args:
        logits: Network name -> its logits for this question, shape (n, labels).
        calibration: How each of the same networks is to be read.
    """
    return {name: softmax(given, calibration[name].temperature) for name, given in logits.items()}


def averaged(
    probabilities: Mapping[str, NDArray[np.float64]], calibration: Mapping[str, Calibration]
) -> NDArray[np.float64]:
    """Return the average of calibrated answers by the networks' weights, shape (n, labels)."""
    weights = [calibration[name].weight for name in probabilities]
    return np.asarray(np.average(list(probabilities.values()), axis=0, weights=weights), np.float64)
