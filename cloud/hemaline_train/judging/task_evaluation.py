"""What is said of a task's answers on one data set: each network's figures and the average's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task
from hemaline_train.judging.blasts import judge_blast_shares
from hemaline_train.judging.judge import judge, judge_labels
from hemaline_train.judging.metrics import AT_95, Interval
from hemaline_train.judging.served import judge_served
from hemaline_train.judging.subjects import Probabilities, truth_of

AVERAGE = "average"
"""The name of the networks' calibrated mean, which is what is served."""

Confusion = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class NetworkFigures:
    """What one network, or the average, did.

    Attributes:
        metrics: Name -> figure over all samples.
        labels: Label -> recall, auroc, sensitivity_at_95_specificity.
        confusion: Truth down, answers across, in the order of the task's labels.
    """

    metrics: Mapping[str, Interval]
    labels: Mapping[str, Mapping[str, Interval]]
    confusion: Confusion


@dataclass(frozen=True, slots=True)
class TaskEvaluation:
    """What a bundle did in one task on one data set.

    Attributes:
        groups: How many patients, slides or clusters: the unit of all intervals.
        networks: Network name, or `AVERAGE` -> its figures.
        training_saw: Whether some of these samples may have been trained on.
        left_out: A sentence on the pictures that are not judged; empty where all are.
    """

    bundle: str
    task: str
    data_set: str
    split: str
    n: int
    groups: int
    labels: tuple[str, ...]
    networks: Mapping[str, NetworkFigures]
    training_saw: bool = False
    left_out: str = ""

    @property
    def served(self) -> NetworkFigures:
        """Return the figures of what is served."""
        return self.networks[AVERAGE]

    def as_json(self) -> dict[str, Any]:
        """Return JSON's types: the served figures first, each network's below `networks`."""
        about = ("bundle", "task", "data_set", "split", "training_saw", "left_out", "n", "groups")
        return {
            **{name: getattr(self, name) for name in about},
            "labels": list(self.labels),
            **_as_json(self.served),
            "networks": {
                name: _as_json(one) for name, one in self.networks.items() if name != AVERAGE
            },
        }


def evaluate_task(
    bundle: str,
    task: Task,
    samples: Sequence[Sample],
    answers: Mapping[str, Probabilities],
    split: str,
    resamples: int = 1000,
    *,
    points: Sequence[float] = (),
    training_saw: bool = False,
) -> TaskEvaluation:
    """Judge each network's answers, and their average's.

    Args:
        bundle: Its id.
        task: What was asked.
        samples: Of one data set, at least one, all with a label of the task.
        answers: Network name, and `AVERAGE` -> calibrated probabilities, shape (n, labels).
        split: Which part of the data set the samples are.
        resamples: For the intervals.
        points: The operating points by which the average is served; none if it is not by any.
        training_saw: Whether some of these samples may have been trained on.
    """
    networks = {name: _figures(task, samples, given, resamples) for name, given in answers.items()}
    if points:
        served = judge_served(task, samples, answers[AVERAGE], points, resamples)
        metrics = {f"served_{name}": figure for name, figure in served.items()}
        average = networks[AVERAGE]
        networks[AVERAGE] = replace(average, metrics={**average.metrics, **metrics})
    return TaskEvaluation(
        bundle,
        task.name,
        samples[0].data_set.name,
        split,
        len(samples),
        len({sample.groups[0] for sample in samples}),
        task.labels,
        networks,
        training_saw,
    )


def _figures(
    task: Task, samples: Sequence[Sample], probabilities: Probabilities, resamples: int
) -> NetworkFigures:
    report = judge(samples, [task], {task.name: probabilities}, resamples)
    metrics: dict[str, Interval] = {}
    for subject, figures in report.items():
        own = subject.startswith(f"{task.name}@")
        prefix = "" if own else f"{subject.partition('@')[0].replace('-', '_')}_"
        metrics |= {f"{prefix}{name}": figure for name, figure in figures.items()}
    shares = judge_blast_shares(task, samples, probabilities.argmax(axis=1), resamples)
    metrics |= {f"blast_share_{name}": figure for name, figure in shares.items()}
    truth = truth_of(task, samples)
    return NetworkFigures(
        metrics,
        judge_labels(task, samples, probabilities, resamples),
        _confusion(truth, probabilities.argmax(axis=1), len(task.labels)),
    )


def _confusion(truth: NDArray[np.intp], given: NDArray[np.intp], labels: int) -> Confusion:
    counts = np.zeros((labels, labels), int)
    np.add.at(counts, (truth, given), 1)
    return tuple(tuple(row) for row in counts.tolist())


def _as_json(figures: NetworkFigures) -> dict[str, Any]:
    kinds = {"recalls": "recall", "aurocs": "auroc", "sensitivities_at_95_specificity": AT_95}
    return {
        "metrics": {name: asdict(figure) for name, figure in figures.metrics.items()},
        **{
            plural: {label: asdict(own[kind]) for label, own in figures.labels.items()}
            for plural, kind in kinds.items()
        },
        "confusion": [list(row) for row in figures.confusion],
    }
