"""How often the served answers err, as a bundle's manifest carries it into every interval."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import UNCLASSIFIED, Confusion
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import CELL_CLASS, Task
from hemaline_train.judging.blasts import BLASTS
from hemaline_train.judging.served import served_answers
from hemaline_train.judging.subjects import Probabilities, truth_of

_MOST_ALIKE = 0.9
"""Beyond this, cells of one patient tell next to nothing of another's."""


def measure_confusion(
    task: Task,
    samples: Sequence[Sample],
    probabilities: Probabilities,
    points: Sequence[float],
    judged_on: str,
) -> Confusion:
    """Count what the answers to samples of known truth were, and how alike a patient's are.

    The design effect is that of all answers, `unclassified` among them. The correlation is that of
    calling a named cell a blast, the error that the thresholds hang on: how often a cell stays
    unnamed differs far more from patient to patient, and each slide shows it by itself.

    The promyelocytes of APL are counted as blasts, which is what they are against the thresholds.

    Args:
        task: The one that names cells.
        samples: None of them trained on; the first group is the patient.
        probabilities: Calibrated averages, shape (n, labels).
        points: The operating point of each label.
        judged_on: Which samples these are.

    Raises:
        PermanentError: `no-samples`.
    """
    if not samples:
        raise PermanentError("no-samples", f"{judged_on} has no sample of {task.name}.")
    answers = (*task.labels, UNCLASSIFIED)
    truth = _truth(task, samples)
    given = served_answers(probabilities, points)
    given[given < 0] = len(task.labels)
    owners = [f"{sample.data_set.name} {sample.groups[0]}" for sample in samples]
    patients = np.unique(owners, return_inverse=True)[1]
    alike, size = correlation_within(truth, patients, np.eye(len(answers))[given])
    named = given < len(task.labels)
    blasts = [place for place, label in enumerate(task.labels) if label in BLASTS]
    called = np.isin(given, blasts)[named, None].astype(np.float64)
    correlation, _ = correlation_within(truth[named], patients[named], called)
    counts = {
        label: {
            answer: int(number)
            for column, answer in enumerate(answers)
            for number in (((truth == row) & (given == column)).sum(),)
            if number
        }
        for row, label in enumerate(task.labels)
        if (truth == row).any()
    }
    return Confusion(
        judged_on=judged_on,
        counts=counts,
        patients=int(patients.max()) + 1,
        correlation=round(correlation, 3),
        design_effect=round(1 + (size - 1) * alike, 3),
    )


def correlation_within(
    classes: NDArray[np.intp], patients: NDArray[np.intp], answers: NDArray[np.float64]
) -> tuple[float, float]:
    """Return how alike the answers about one patient's cells of one class are.

    The intraclass correlation of a one-way analysis of variance within each class (Ridout et al.
    1999), over all answers together.

    Args:
        classes: The truth of each cell, shape (n,).
        patients: Whose it is, shape (n,).
        answers: One row for each cell, shape (n, answers).

    Returns:
        The correlation, 0 to 0.9, and how many cells of one class a patient has on the average.
    """
    between = within = cells = 0.0
    free_between = free_within = 0
    for one in np.unique(classes):
        own, owners = answers[classes == one], patients[classes == one]
        names, sizes = np.unique(owners, return_counts=True)
        means = np.array([own[owners == name].mean(axis=0) for name in names])
        between += float((sizes[:, None] * (means - own.mean(axis=0)) ** 2).sum())
        within += sum(
            float(((own[owners == name] - mean) ** 2).sum())
            for name, mean in zip(names, means, strict=True)
        )
        free_between += len(names) - 1
        free_within += len(own) - len(names)
        cells += len(own) - (sizes**2).sum() / len(own)
    if not free_between or not free_within:
        return 0.0, 1.0
    size = cells / free_between
    between, within = between / free_between, within / free_within
    total = between + (size - 1) * within
    correlation = (between - within) / total if total else 0.0
    return float(np.clip(correlation, 0.0, _MOST_ALIKE)), max(1.0, size)


def _truth(task: Task, samples: Sequence[Sample]) -> NDArray[np.intp]:
    truth = truth_of(task, samples)
    if task == CELL_CLASS:
        equal = [
            sample.labels.get("cell-fine") == "promyelocyte" and sample.labels.get("apl") == "APL"
            for sample in samples
        ]
        truth[equal] = task.index("blast")
    return truth
