"""Figures that judge a classifier, and their intervals over patients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

Figure = Callable[[NDArray[np.intp]], float | None]
"""A figure of the samples at these places; None where they do not define it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval; None where too few resamples define it."""

    value: float | None
    low: float | None
    high: float | None


def balanced_accuracy(truth: NDArray[np.intp], given: NDArray[np.intp]) -> float | None:
    """Return the mean recall over the labels that occur; None without a sample."""
    recalls = [float((given[truth == label] == label).mean()) for label in np.unique(truth)]
    return float(np.mean(recalls)) if recalls else None


def auroc(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float | None:
    """Return the area under the ROC curve; None unless both kinds occur."""
    if positive.all() or not positive.any():
        return None
    return float(roc_auc_score(positive, score))


def sensitivity_at(
    positive: NDArray[np.bool_], score: NDArray[np.float64], specificity: float
) -> float | None:
    """Return the share of positives above the negatives' quantile; None unless both occur."""
    if positive.all() or not positive.any():
        return None
    threshold = np.quantile(score[~positive], specificity, method="higher")
    return float((score[positive] > threshold).mean())


def calibration_error(
    truth: NDArray[np.intp], probabilities: NDArray[np.float64], bins: int = 10
) -> float | None:
    """Return the expected calibration error of the first choice (Guo et al. 2017).

    Bins hold equally many samples: equally wide ones leave most of them empty.
    """
    if not len(truth):
        return None
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(truth)))
    gaps = [abs(right[part].mean() - confidence[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(truth))


def over_groups(
    figure: Figure, groups: Sequence[str], resamples: int = 500, seed: int = 0
) -> Interval:
    """Return a figure with its interval from resampling whole groups.

    Args:
        figure: Computed anew for each resample.
        groups: The group of each sample: cells of one patient are not independent.
        resamples: How many, 0 for no interval; those that do not define the figure drop out.
        seed: Repeats the draws.
    """
    names, places = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(places == number) for number in range(len(names))]
    value = figure(np.arange(len(groups)))
    if not resamples or len(members) < 2 or value is None:
        return Interval(value, None, None)
    dice = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        chosen = dice.integers(len(members), size=len(members))
        one = figure(np.concatenate([members[number] for number in chosen]))
        if one is not None:
            drawn.append(one)
    if len(drawn) < resamples / 2:
        return Interval(value, None, None)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))
