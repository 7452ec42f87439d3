"""Make probabilities mean what they say, on samples that training never saw."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from hemaline_shared.logits import softmax
from hemaline_shared.model_manifest import Calibration
from hemaline_train.judging.subjects import Patients

Logits = NDArray[np.float64]

_COLDEST, _HOTTEST = 0.2, 5.0
_ROUNDS, _IMAGINED = 200, 5.0
_FEWEST_CELLS = 30
"""Fewer answers of one label than this make no threshold of its own."""
_MISSED = 0.05


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


def fit_average(logits: Sequence[Logits], truth: NDArray[np.intp]) -> list[Calibration]:
    """Return each network's temperature and weight, such that the average of all is calibrated.

    The average of calibrated networks doubts too much; so a common factor follows each one's own.

    Args:
        logits: Of each network, shape (n, labels).
        truth: Places among the labels, shape (n,).
    """
    own = [fit_temperature(one, truth) for one in logits]

    def chosen(factor: float) -> NDArray[np.float64]:
        """Return what each network gives the truth, shape (networks, n)."""
        parts = [softmax(one / (t * factor)) for one, t in zip(logits, own, strict=True)]
        return np.array([part[np.arange(len(truth)), truth] for part in parts]) + 1e-12

    weights = mixture_weights(chosen(1.0))

    def surprise(log_factor: float) -> float:
        return float(-np.log(weights @ chosen(np.exp(log_factor))).mean())

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    factor = float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))
    return [
        Calibration(temperature=round(t * factor, 4), weight=round(float(weight), 4))
        for t, weight in zip(own, weights, strict=True)
    ]


def mixture_weights(chosen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares of an average that make the truth likeliest (Dempster et al. 1977).

    Each network has a few imagined samples to its credit, so that few real ones silence none.

    Args:
        chosen: What each network gives the truth, above 0, shape (networks, n).

    Returns:
        Shape (networks,), with a sum of 1.
    """
    weights = np.full(len(chosen), 1 / len(chosen))
    for _ in range(_ROUNDS):
        parts = weights[:, None] * chosen
        credit = (parts / parts.sum(axis=0)).sum(axis=1) + _IMAGINED
        weights = credit / credit.sum()
    return weights


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


def patient_points(patients: Patients) -> tuple[float, float]:
    """Return the points of a question of two labels that is answered by a patient's mean.

    The second label is an alarm that must rather be seen too often than be missed: its point lies
    halfway below the lowest mean of a patient who has it, towards the next who has not.
    """
    if not patients.positive.any():
        return 0.5, 0.5
    lowest = patients.mean[patients.positive].min()
    below = patients.mean[~patients.positive & (patients.mean < lowest)]
    point = float((lowest + (below.max() if below.size else 0.0)) / 2)
    return round(1 - point, 4), round(point, 4)


def _lowest(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """Return the lowest threshold above which the answers are precise; the highest if none is."""
    order = np.argsort(-confidence)
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= precision)
    return round(float(confidence[order][good[-1] if good.size else 0]), 4)
