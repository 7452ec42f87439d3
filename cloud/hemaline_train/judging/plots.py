"""Draw how reliable the answers' confidences are, and ROC curves, as PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import CELL_CLASS, Task
from hemaline_train.judging.blasts import blast_kind, blast_score
from hemaline_train.judging.metrics import auroc, confidence_bins
from hemaline_train.judging.subjects import Probabilities

_INCHES = (6.4, 5.6)
_DPI = 110
_MARKED_FALSE_ALARMS = 0.05
"""1 - specificity of the sensitivities that are reported."""


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """One curve: who is positive, and how high each sample scored; shape (n,) both."""

    name: str
    positive: NDArray[np.bool_]
    score: NDArray[np.float64]


def draw_reliability(
    file: Path, title: str, truth: NDArray[np.intp], answers: Mapping[str, Probabilities]
) -> None:
    """Draw confidence against the share of right answers, ten bins of as many samples each.

    Bars are 95 % intervals of a binomial share (Wilson); they count samples as independent.

    Args:
        file: Written over.
        title: Above the diagram.
        truth: Places among the labels, shape (n,).
        answers: Network name -> calibrated probabilities, shape (n, labels).
    """
    figure, axes = _square(title, "confidence of the answer", "share of right answers")
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="as sure as right")
    for name, probabilities in answers.items():
        bins = list(confidence_bins(truth, probabilities))
        sure = np.array([one.confidence for one in bins])
        right = np.array([one.right for one in bins])
        low, high = _wilson(right, np.array([one.count for one in bins]))
        axes.errorbar(
            sure, right, yerr=(right - low, high - right), marker="o", capsize=2, label=name
        )
    axes.legend(loc="upper left", fontsize="small")
    _save(figure, file)


def draw_roc(file: Path, title: str, curves: Sequence[Roc]) -> None:
    """Draw ROC curves; those with one kind of sample only are left out.

    Args:
        file: Written over.
        title: Above the diagram.
        curves: Each with its AUROC in the legend.
    """
    figure, axes = _square(title, "1 - specificity", "sensitivity")
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    axes.axvline(_MARKED_FALSE_ALARMS, color="0.6", linewidth=1)
    colours = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for curve, colour in zip(curves, colours, strict=False):
        area = auroc(curve.positive, curve.score)
        if area is not None:
            across, up = _steps(curve.positive, curve.score)
            axes.plot(across, up, color=colour, label=f"{curve.name} {area:.3f}")
    axes.legend(loc="lower right", fontsize="small", title="AUROC")
    _save(figure, file)


def roc_of_labels(task: Task, samples: Sequence[Sample], probabilities: Probabilities) -> list[Roc]:
    """Return each label's curve against all others, and blasts' against lymphocytes'.

    Args:
        task: What was asked.
        samples: All with a label of the task.
        probabilities: Shape (n, labels).
    """
    truth = np.array([task.index(sample.labels[task.name]) for sample in samples])
    curves = [
        Roc(label, truth == place, probabilities[:, place])
        for place, label in enumerate(task.labels)
    ]
    if task == CELL_CLASS:
        kinds = np.array([blast_kind(sample) for sample in samples])
        at = kinds >= 0
        curves.append(Roc("blast vs lymphocyte", kinds[at] == 1, blast_score(probabilities[at])))
    return curves


def _square(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    # Without pyplot: no window system, no state that outlives the picture.
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    axes.grid(color="0.92")
    return figure, axes


def _save(figure: Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # No version or date in the file: the same answers give the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})


def _steps(
    positive: NDArray[np.bool_], score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the curve's corners; samples of one score make one slanting step."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    hits, alarms = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
    return np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1])


def _wilson(
    share: NDArray[np.float64], count: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % interval of binomial shares (Wilson 1927)."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return np.minimum(middle - half, share), np.maximum(middle + half, share)
