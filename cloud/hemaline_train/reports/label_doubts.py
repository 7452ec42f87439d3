"""Which labels do networks doubt that never saw the picture's patient? For people to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hemaline_shared.errors import PermanentError
from hemaline_train.data.leakage import connected_groups
from hemaline_train.data.samples import Sample
from hemaline_train.judging.subjects import Probabilities

_FOLDS = 5
_PENALTY = 0.003
"""Of the logistic regression, on 1280 standardised features: strong, for the labels are noisy."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label that the networks doubt.

    Attributes:
        place: Of the sample.
        answers: Each network's name -> what it says instead.
        strength: How much more probable the networks' mean finds its own answer, 0 to 1.
    """

    place: int
    answers: Mapping[str, str]
    strength: float


def out_of_fold(
    features: NDArray[np.float32], labels: Sequence[str], samples: Sequence[Sample]
) -> tuple[list[str], Probabilities]:
    """Return the labels' names, and their probabilities by models that saw no group of a sample's.

    Args:
        features: Shape (n, channels).
        labels: Shape (n,).
        samples: Theirs; no group is torn apart.

    Raises:
        PermanentError: `folds`: there are fewer groups than parts.
    """
    names, groups = sorted(set(labels)), connected_groups(samples)
    if len(set(groups)) < _FOLDS:
        raise PermanentError(
            "folds", f"{len(set(groups))} groups are too few to review by: it takes {_FOLDS}."
        )
    aims = np.array([names.index(label) for label in labels])
    found = np.zeros((len(aims), len(names)))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    for teaching, judged in folds.split(features, aims, groups):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=_PENALTY, max_iter=300))
        model.fit(features[teaching], aims[teaching])
        found[np.ix_(judged, model[-1].classes_)] = model.predict_proba(features[judged])
    return names, found


def doubts(
    names: Sequence[str], answers: Mapping[str, Probabilities], labels: Sequence[str]
) -> list[Doubt]:
    """Return the labels that every network doubts, the most doubted first.

    A label is doubted where another one is more probable than is usual for pictures that bear that
    other label (confident learning: Northcutt et al. 2021).

    Args:
        names: The labels, in the order of the probabilities.
        answers: Each network's name -> out-of-fold probabilities, shape (n, labels).
        labels: As they came, shape (n,).
    """
    aims = np.array([list(names).index(label) for label in labels])
    given = {name: _sure_answers(found, aims) for name, found in answers.items()}
    mean = np.mean(list(answers.values()), axis=0)
    strength = mean.max(axis=1) - mean[np.arange(len(aims)), aims]
    doubted = np.all([(said >= 0) & (said != aims) for said in given.values()], axis=0)
    places = np.flatnonzero(doubted)
    return [
        Doubt(
            int(place),
            {name: names[int(said[place])] for name, said in given.items()},
            float(strength[place]),
        )
        for place in places[np.argsort(-strength[places], kind="stable")]
    ]


def _sure_answers(found: Probabilities, aims: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the most probable label among those that are as probable as usual, -1 for none."""
    usual = np.array(
        [
            found[aims == label, label].mean() if (aims == label).any() else np.inf
            for label in range(found.shape[1])
        ]
    )
    enough = np.where(found >= usual, found, -1.0)
    return np.where(enough.max(axis=1) < 0, -1, enough.argmax(axis=1))
