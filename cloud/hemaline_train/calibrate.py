"""Make probabilities mean what they say, on samples that training never saw."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Logits = NDArray[np.float64]

_COLDEST, _HOTTEST = 0.2, 5.0
_FEWEST_CELLS = 30
"""Fewer answers of one label than this make no threshold of its own."""
_MISSED = 0.05


def softmax(logits: Logits) -> NDArray[np.float64]:
    """Return probabilities, shape (n, labels)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float64)


def fit_temperature(logits: Logits, truth: NDArray[np.intp]) -> float:
    """Return what the logits are to be divided by, for the likeliest truth (Guo et al. 2017).

    Args:
        logits: Shape (n, labels).
        truth: Places among the labels, shape (n,).
    """

    def surprise(log_temperature: float) -> float:
        probabilities = softmax(logits / np.exp(log_temperature))
        return float(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-12).mean())

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))


def fit_temperatures(logits: Sequence[Logits], truth: NDArray[np.intp]) -> list[float]:
    """Return each network's temperature, such that the average of all is calibrated.

    The average of calibrated networks doubts too much; so a common factor follows each one's own.

    Args:
        logits: Of each network, shape (n, labels).
        truth: Places among the labels, shape (n,).
    """
    own = [fit_temperature(one, truth) for one in logits]

    def surprise(log_factor: float) -> float:
        parts = [
            softmax(one / (t * np.exp(log_factor))) for one, t in zip(logits, own, strict=True)
        ]
        chosen = np.mean(parts, axis=0)[np.arange(len(truth)), truth]
        return float(-np.log(chosen + 1e-12).mean())

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    factor = float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))
    return [temperature * factor for temperature in own]


def operating_points(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.intp],
    precision: float,
    alarms: Collection[int] = (),
) -> list[float]:
    """Return for each label the lowest probability at which its answers are right often enough.

    Args:
        probabilities: Calibrated, shape (n, labels).
        truth: Places among the labels, shape (n,).
        precision: The share of right answers wanted among those at or above the point. A label
            with too few answers takes the point of all labels together.
        alarms: Labels that must rather be seen too often than be missed: their point lets all but
            a twentieth of the right answers through.
    """
    given, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = given == truth
    shared = _lowest(confidence, right, precision)

    def point(label: int) -> float:
        own = given == label
        if label in alarms and (own & right).any():
            return round(float(np.quantile(confidence[own & right], _MISSED, method="lower")), 4)
        return _lowest(confidence[own], right[own], precision) if enough(own) else shared

    def enough(own: NDArray[np.bool_]) -> bool:
        return bool(own.sum() >= _FEWEST_CELLS)

    return [point(label) for label in range(probabilities.shape[1])]


def _lowest(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """Return the lowest threshold above which the answers are precise; the highest if none is."""
    order = np.argsort(-confidence)
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= precision)
    return round(float(confidence[order][good[-1] if good.size else 0]), 4)
