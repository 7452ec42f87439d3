"""Learners of the classical systems: tuned by grouped cross-validation within the train part."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hemaline_shared.logits import softmax
from hemaline_train.bundles.calibrate import fit_temperature
from hemaline_train.classical.features import Matrix
from hemaline_train.judging.metrics import balanced_accuracy

_FOLDS = 3
_BATCH = 32
_SVM_SHARPNESS = 2.0
"""Mean margins lie within about 1 of 0; twice as large, the allowed temperatures make them anything
from hardly sure to certain."""

_NEVER = -12.0
"""The logit of a label that a fold's train part does not hold."""

Settings: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a learner is given, and nothing else.

    Attributes:
        rows: Shape (n, features).
        targets: Places among the labels, shape (n,).
        groups: Number of the patient or cluster, shape (n,): folds keep them whole.
    """

    rows: Matrix
    targets: NDArray[np.intp]
    groups: NDArray[np.intp]
    labels: tuple[str, ...]

    def part(self, chosen: NDArray[np.bool_], labels: Sequence[str]) -> "Lesson":
        """Return the chosen samples, which all have one of these labels, renumbered."""
        places = np.array([labels.index(name) if name in labels else -1 for name in self.labels])
        return Lesson(
            self.rows[chosen], places[self.targets[chosen]], self.groups[chosen], tuple(labels)
        )


Answer: TypeAlias = Callable[[Matrix], NDArray[np.float64]]
"""From rows to calibrated probabilities, shape (n, labels)."""

Learn: TypeAlias = Callable[[Lesson], Answer]


def learn_tuned(
    make: Callable[[Settings], BaseEstimator], grid: Sequence[Settings], lesson: Lesson
) -> Answer:
    """Choose the settings and a temperature by what the folds say of each other, then fit to all.

    Args:
        make: From settings to an untrained scikit-learn classifier.
        grid: The settings to choose from, by balanced accuracy.
        lesson: The train part.
    """
    best, logits = max(
        ((settings, _unseen_logits(make, settings, lesson)) for settings in grid),
        key=lambda one: balanced_accuracy(lesson.targets, one[1].argmax(axis=1)) or 0.0,
    )
    temperature = fit_temperature(logits, lesson.targets)
    model = _fitted(make(best), lesson.rows, lesson.targets)
    count = len(lesson.labels)
    return lambda rows: softmax(_logits(model, rows, count) / temperature)


def _unseen_logits(
    make: Callable[[Settings], BaseEstimator], settings: Settings, lesson: Lesson
) -> NDArray[np.float64]:
    logits = np.full((len(lesson.rows), len(lesson.labels)), _NEVER)
    for learned, judged in group_folds(lesson, _FOLDS):
        model = _fitted(make(settings), lesson.rows[learned], lesson.targets[learned])
        logits[judged] = _logits(model, lesson.rows[judged], len(lesson.labels))
    return logits


def group_folds(lesson: Lesson, folds: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the places (learned, judged) of each fold; groups stay whole, labels alike."""
    with warnings.catch_warnings():
        # A label with fewer samples than folds is no mistake here: rare cells are rare.
        warnings.filterwarnings("ignore", message="The least populated class")
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        return list(splitter.split(lesson.rows, lesson.targets, lesson.groups))


def _fitted(model: BaseEstimator, rows: Matrix, targets: NDArray[np.intp]) -> Pipeline:
    scaler = StandardScaler().fit(rows)
    with warnings.catch_warnings():
        # A fixed number of rounds is the regularisation of the MLP, not a failure.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if isinstance(model, KNeighborsClassifier):
            model.n_neighbors = min(model.n_neighbors, len(rows))
        if isinstance(model, MLPClassifier):
            model.batch_size = min(_BATCH, len(rows))
            counts = np.bincount(targets)
            weights = 1.0 / counts[targets]
            model.fit(scaler.transform(rows), targets, weights / weights.mean())
        else:
            model.fit(scaler.transform(rows), targets)
    return make_pipeline(scaler, model)


def _logits(model: Pipeline, rows: Matrix, labels: int) -> NDArray[np.float64]:
    if isinstance(model[-1], SVC):
        scores = _SVM_SHARPNESS * _mean_margins(model.decision_function(rows), len(model.classes_))
    elif hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(rows), np.float64)
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1)
    else:
        scores = np.log(np.asarray(model.predict_proba(rows), np.float64) + 1e-6)
    logits = np.full((len(rows), labels), min(_NEVER, float(scores.min())))
    logits[:, model.classes_] = scores
    return logits


def _mean_margins(margins: NDArray[np.float64], labels: int) -> NDArray[np.float64]:
    """Return each label's mean margin over all others, from the margins of each pair.

    scikit-learn's own "one against rest" counts pairs won, which says little of how sure it is.
    """
    if labels == 2:
        return np.stack([-margins, margins], axis=1)
    scores = np.zeros((len(margins), labels))
    pairs = ((one, other) for one in range(labels) for other in range(one + 1, labels))
    for place, (one, other) in enumerate(pairs):
        scores[:, one] += margins[:, place] / (labels - 1)
        scores[:, other] -= margins[:, place] / (labels - 1)
    return scores


def _grid(**values: Sequence[float]) -> list[Settings]:
    grid: list[dict[str, float]] = [{}]
    for name, choices in values.items():
        grid = [{**one, name: choice} for one in grid for choice in choices]
    return list(grid)


def _svm(settings: Settings) -> SVC:
    return SVC(class_weight="balanced", cache_size=200, decision_function_shape="ovo", **settings)


def _svm_by_width(settings: Settings, width: int) -> SVC:
    return _svm({"C": settings["C"], "gamma": settings["gamma"] / width})


def learn_svm(lesson: Lesson) -> Answer:
    """Learn a support vector machine with a Gaussian kernel, labels weighted alike."""
    make = partial(_svm_by_width, width=lesson.rows.shape[1])
    return learn_tuned(make, _grid(C=(1.0, 8.0), gamma=(0.3, 1.0)), lesson)


def learn_finely_tuned_svm(lesson: Lesson) -> Answer:
    """Learn a support vector machine over a finer grid of settings."""
    make = partial(_svm_by_width, width=lesson.rows.shape[1])
    return learn_tuned(make, _grid(C=(0.5, 2.0, 8.0), gamma=(0.1, 0.3, 1.0)), lesson)


def learn_naive_bayes(lesson: Lesson) -> Answer:
    """Learn Gaussian naive Bayes, all labels equally likely beforehand."""

    def make(settings: Settings) -> BaseEstimator:
        return _EvenNaiveBayes(var_smoothing=settings["smoothing"])

    return learn_tuned(make, _grid(smoothing=(1e-3, 1e-1, 1.0)), lesson)


class _EvenNaiveBayes(GaussianNB):
    """Naive Bayes that does not prefer common labels."""

    def fit(self, rows: Matrix, targets: NDArray[np.intp]) -> "_EvenNaiveBayes":
        count = len(np.unique(targets))
        self.priors = np.full(count, 1 / count)
        super().fit(rows, targets)
        return self


def learn_neighbours(lesson: Lesson) -> Answer:
    """Learn by the nearest neighbours, weighted by their distance."""

    def make(settings: Settings) -> BaseEstimator:
        return KNeighborsClassifier(int(settings["k"]), weights="distance")

    return learn_tuned(make, _grid(k=(5, 11, 21)), lesson)


def learn_mlp(lesson: Lesson) -> Answer:
    """Learn a perceptron with one hidden layer, labels weighted alike."""

    def make(settings: Settings) -> BaseEstimator:
        return MLPClassifier((64,), alpha=settings["alpha"], max_iter=40, random_state=0)

    return learn_tuned(make, _grid(alpha=(0.1, 3.0)), lesson)


def learn_logistic(lesson: Lesson) -> Answer:
    """Learn multinomial logistic regression, labels weighted alike."""

    def make(settings: Settings) -> BaseEstimator:
        return LogisticRegression(C=settings["C"], class_weight="balanced", max_iter=300)

    return learn_tuned(make, _grid(C=(0.001, 0.01, 0.1)), lesson)
