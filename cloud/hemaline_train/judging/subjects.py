"""Who is judged: the truth of each sample, and what is said of each patient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """Patients of whom every cell has the same label, and what was answered on average.

    Attributes:
        names: Of n patients.
        positive: Whether the label is the second of the task, shape (n,).
        mean: The mean probability of that label over the patient's cells, shape (n,).
    """

    names: list[str]
    positive: NDArray[np.bool_]
    mean: NDArray[np.float64]


def by_patient(
    truth: NDArray[np.intp], groups: Sequence[str], probability: NDArray[np.float64]
) -> Patients:
    """Return each patient's label and mean answer; all arguments have a row for each cell."""
    owners = np.asarray(groups)
    names = np.unique(owners)
    mean = np.array([probability[owners == name].mean() for name in names])
    positive = np.array([bool(truth[owners == name][0] == 1) for name in names])
    return Patients(names.tolist(), positive, mean)


def truth_of(task: Task, samples: Sequence[Sample]) -> NDArray[np.intp]:
    """Return the place of each sample's label among the task's labels, which must have it."""
    truth = np.array([task.index(sample.labels[task.name]) for sample in samples], np.intp)
    assert (truth >= 0).all(), f"{task.name} lacks a label of its samples"
    return truth
