"""One bundle's answers on the images of several laboratories, side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task
from hemaline_train.judging.markdown import table
from hemaline_train.judging.metrics import (
    Interval,
    balanced_accuracy_figure,
    calibration_error,
    macro_auroc_figure,
    over_groups_each,
)
from hemaline_train.judging.subjects import Probabilities, truth_of

_EXPLANATION = (
    "Balanced accuracy is over the labels that occur in a set; as served, an answer may be any "
    "label, in the next column and in macro AUROC only one of those. In training: yes, if other "
    "images of the set were trained on; then the row does not show how the bundle carries over. In "
    "brackets: 95 % intervals over groups."
)


@dataclass(frozen=True, slots=True)
class Laboratory:
    """How a bundle fares on one data set, which may know only some of its labels.

    Attributes:
        trained_on: Whether training saw other images of this set.
        labels: Those that occur there.
        served: Balanced accuracy over them of the answers as served, out of all labels.
        restricted: The same where only labels that occur may be answered.
        macro_auroc: Of the answers among them.
        calibration_error: Of the answers as served.
    """

    data_set: str
    split: str
    trained_on: bool
    n: int
    groups: int
    labels: tuple[str, ...]
    served: Interval
    restricted: Interval
    macro_auroc: Interval
    calibration_error: Interval

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON's types."""
        return asdict(self)


def judge_laboratory(
    task: Task,
    samples: Sequence[Sample],
    probabilities: Probabilities,
    split: str,
    *,
    trained_on: bool,
    resamples: int = 1000,
) -> Laboratory:
    """Judge answers on one data set.

    Args:
        task: What was asked.
        samples: Of one data set, at least one, all with a label of the task.
        probabilities: Calibrated, shape (n, labels).
        split: Which part of the set the samples are.
        trained_on: Whether training saw other images of this set.
        resamples: For the intervals.
    """
    truth = truth_of(task, samples)
    occurring = np.unique(truth)
    part = probabilities[:, occurring]
    # Labels without any probability at all share it evenly rather than divide by nothing.
    part = (part + 1e-12) / (part + 1e-12).sum(axis=1, keepdims=True)
    place = np.searchsorted(occurring, truth)
    groups = [sample.groups[0] for sample in samples]
    figures = over_groups_each(
        {
            "served": balanced_accuracy_figure(truth, probabilities.argmax(axis=1)),
            "restricted": balanced_accuracy_figure(place, part.argmax(axis=1)),
            "macro_auroc": macro_auroc_figure(place, part),
            "calibration_error": lambda at: calibration_error(truth[at], probabilities[at]),
        },
        groups,
        resamples,
        widened=["calibration_error"],
    )
    labels = tuple(task.labels[label] for label in occurring.tolist())
    name = samples[0].data_set.name
    return Laboratory(name, split, trained_on, len(samples), len(set(groups)), labels, **figures)


def data_sets_of(task: str, data: Path) -> list[str]:
    """Return the known data sets in a directory that have labels of a task."""
    return [
        name
        for name, one in KNOWN.items()
        if any(own.name == task for own in one.tasks) and (data / name / MANIFEST_NAME).is_file()
    ]


def laboratories_section(task: str, rows: Iterable[Laboratory]) -> str:
    """Return the rows as a Markdown section under a heading of the third level."""
    headings = (
        "data set", "split", "in training", "n", "groups", "labels there",
        "balanced accuracy", "among those labels", "macro AUROC", "calibration error",
    )  # fmt: skip
    cells = (
        [
            row.data_set,
            row.split,
            "yes" if row.trained_on else "no",
            str(row.n),
            str(row.groups),
            str(len(row.labels)),
            *(str(one) for one in (row.served, row.restricted, row.macro_auroc)),
            str(row.calibration_error),
        ]
        for row in rows
    )
    text = (
        f"### {task}, laboratory by laboratory",
        "",
        _EXPLANATION,
        "",
        *table(headings, cells),
    )
    return "\n".join(text) + "\n"
