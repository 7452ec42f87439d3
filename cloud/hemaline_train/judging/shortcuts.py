"""How well does a label follow from what should not matter: overall colour, or one corner?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hemaline_train.data.lab_data import side_of
from hemaline_train.data.samples import Sample
from hemaline_train.judging.metrics import Interval, balanced_accuracy_figure, over_groups

_CORNER_PX = 40
_PERCENTILES = (5, 25, 50, 75, 95)
_MANY_FEATURES = 0.003
"""The logistic regression's C on a network's 1280 features, more than many a set has pictures."""
_NEARLY = 0.85
"""The part of what a network gains over chance that makes a shortcut suspicious."""
_NOTEWORTHY, _SUSPICIOUS = 0.25, 0.6
"""The part of the way from chance to no error."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How far a shortcut alone gets on samples kept from training.

    Attributes:
        chance: What guessing gets.
    """

    name: str
    balanced_accuracy: Interval
    chance: float

    def verdict(self, network: "Shortcut | None" = None) -> str:
        """Say in words what it means for the figure of a model.

        Args:
            network: How far a plain network gets on the same pictures, if that was measured.
        """
        value = self.balanced_accuracy.value
        if value is None:
            return "cannot be judged"
        reached = (value - self.chance) / (1 - self.chance)
        ceiling = network.balanced_accuracy.value if network else None
        if ceiling is not None and value - self.chance >= _NEARLY * (ceiling - self.chance):
            return f"suspicious: it nearly reaches a plain network, which has {ceiling:.2f}"
        if reached >= _SUSPICIOUS:
            return "suspicious: it nearly tells the label alone, and a model may do no more"
        if reached >= _NOTEWORTHY:
            return "noteworthy: a model must be well above this before its figure means anything"
        return "harmless"


NETWORK = "plain network"
"""The name of what is no shortcut: what a network that was not trained on these pictures sees."""


def shortcuts_of_tasks(
    samples: Sequence[Sample],
    trained: NDArray[np.bool_],
    pixels: NDArray[np.uint8],
    features: NDArray[np.float32] | None = None,
) -> Iterator[tuple[str, Shortcut]]:
    """Yield each task that the samples have labels of, with each shortcut to it.

    Args:
        samples: Of one data set.
        trained: Shape (n,): which are trained on.
        pixels: Shape (n, height, width, 3).
        features: What a network sees in the pictures, shape (n, channels): `NETWORK` then comes
            first of each task.
    """
    for task in dict.fromkeys(task for sample in samples for task in sample.labels):
        known = np.array([task in sample.labels for sample in samples])
        chosen = [sample for sample in samples if task in sample.labels]
        labels = [sample.labels[task] for sample in chosen]
        groups = [sample.groups[0] for sample in chosen]
        seen = features[known] if features is not None else None
        for one in measure_shortcuts(pixels[known], labels, trained[known], groups, seen):
            yield task, one


def measure_shortcuts(
    pixels: NDArray[np.uint8],
    labels: Sequence[str],
    trained: NDArray[np.bool_],
    groups: Sequence[str],
    features: NDArray[np.float32] | None = None,
) -> list[Shortcut]:
    """Train a linear model on each shortcut and judge it on the other side of the split.

    Args:
        pixels: Shape (n, height, width, 3).
        labels: Of each picture.
        trained: Shape (n,): which pictures are trained on. Where all or none are, half of the
            groups teach and the other half judge.
        groups: The unit of the intervals.
        features: As for `shortcuts_of_tasks`.

    Returns:
        Nothing where those that teach have one label, or no picture judges.
    """
    if trained.all() or not trained.any():
        trained = np.array([side_of(group, 0.5) == "train" for group in groups])
    if trained.all() or len({label for label, use in zip(labels, trained, strict=True) if use}) < 2:
        return []
    names = sorted(set(labels))
    truth = np.array([names.index(label) for label in labels])
    whole = {NETWORK: np.asarray(features, np.float64)} if features is not None else {}
    views = {
        **whole,
        "colour statistics": describe_colours(pixels),
        "lower right corner": describe_corners(pixels),
        "rim of the picture": describe_rims(pixels),
    }
    judged_groups = [group for group, use in zip(groups, trained, strict=True) if not use]
    shortcuts = []
    for name, view in views.items():
        penalty = _MANY_FEATURES if name == NETWORK else 1.0
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=penalty, max_iter=2000, class_weight="balanced"),
        )
        model.fit(view[trained], truth[trained])
        given, aim = model.predict(view[~trained]), truth[~trained]
        figure = over_groups(balanced_accuracy_figure(aim, given), judged_groups)
        shortcuts.append(Shortcut(name, figure, 1 / len(names)))
    return shortcuts


def describe_colours(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return each picture's colour statistics, shape (n, 21)."""
    return np.stack([_colours(picture) for picture in pixels])


def describe_corners(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return each picture's lower right corner, coarsely, shape (n, 192)."""
    return np.stack([_corner(picture) for picture in pixels])


def describe_rims(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the colour statistics of each picture's outer eighth, shape (n, 21)."""
    return np.stack([_colours(_rim(picture)) for picture in pixels])


def _colours(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return mean, spread and percentiles of each channel: where things are plays no part."""
    points = picture.reshape(-1, 3).astype(np.float64)
    return np.concatenate(
        [points.mean(axis=0), points.std(axis=0), *np.percentile(points, _PERCENTILES, axis=0)]
    )


def _corner(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    corner = picture[-_CORNER_PX:, -_CORNER_PX:].astype(np.float64)
    side = _CORNER_PX // 5
    squares = corner.reshape(side, 5, side, 5, 3).mean(axis=(1, 3))
    return np.asarray(squares.ravel(), np.float64)


def _rim(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the outer eighth of a picture: what lies round the cell, not the cell."""
    width = picture.shape[0] // 8
    inner = np.zeros(picture.shape[:2], bool)
    inner[width:-width, width:-width] = True
    return picture[~inner]
