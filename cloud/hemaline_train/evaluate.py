"""Judge any bundle on any data set, also one that training never saw."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.bundle import Bundle, read_bundle
from hemaline_train.calibrate import Logits
from hemaline_train.catalogue import KNOWN
from hemaline_train.judge import judge
from hemaline_train.lab_data import lab_data_set
from hemaline_train.metrics import Interval
from hemaline_train.prepare import prepare
from hemaline_train.samples import Sample, read_samples
from hemaline_train.tasks import Task

AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a bundle did on one data set.

    Attributes:
        figures: Network name, or `average` -> task -> figure -> interval.
        confusion: Of the average: truth down, answers across, in the order of `labels`.
        recalls: Of the average: label -> share found, None where it does not occur.
    """

    bundle: str
    task: str
    data_set: str
    split: str
    n: int
    groups: int
    figures: Mapping[str, Mapping[str, Mapping[str, Interval]]]
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    recalls: Mapping[str, float | None]

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON's types."""
        return asdict(self)


def evaluate_bundle(
    folder: Path,
    data_set_folder: Path,
    split: str,
    cache: Path,
    *,
    um_per_px: float | None = None,
    resamples: int = 1000,
) -> list[Evaluation]:
    """Run a bundle on a data set's samples that its tasks know, through the pixel pipeline.

    Args:
        folder: Of the bundle.
        data_set_folder: Of the data set: one of the catalogue, or a lab's own with the labels of
            the bundle's first task.
        split: Which rows of the manifest, "all" for every one.
        cache: For prepared pixels.
        um_per_px: The optics of a lab's own images; None to judge them by the red cells.
        resamples: For the intervals.

    Returns:
        One for each task of the bundle that the data set answers.

    Raises:
        PermanentError: The bundle or the data cannot be read, or `no-samples`.
    """
    bundle = read_bundle(folder)
    name = data_set_folder.name
    described = KNOWN[name] if name in KNOWN else lab_data_set(name, bundle.tasks[0], um_per_px)
    samples = [
        sample
        for sample in read_samples(described, data_set_folder)
        if split in (sample.split, "all") and any(t.name in sample.labels for t in bundle.tasks)
    ]
    if not samples:
        asked = ", ".join(task.name for task in bundle.tasks)
        raise PermanentError(
            "no-samples", f"{data_set_folder} has no sample of {asked} in its split {split}."
        )
    logits = bundle.logits(prepare(samples, cache))
    return [
        _evaluate_task(bundle, task, samples, logits, split, resamples)
        for task in bundle.tasks
        if any(task.name in sample.labels for sample in samples)
    ]


def _evaluate_task(
    bundle: Bundle,
    task: Task,
    samples: Sequence[Sample],
    logits: Mapping[str, Logits],
    split: str,
    resamples: int,
) -> Evaluation:
    at = [place for place, sample in enumerate(samples) if task.name in sample.labels]
    chosen = [samples[place] for place in at]
    own = {name: given[at] for name, given in logits.items()}
    answers = {AVERAGE: bundle.average(own, task), **bundle.probabilities(own, task)}
    truth = np.array([task.index(sample.labels[task.name]) for sample in chosen])
    confusion = _confusion(truth, answers[AVERAGE].argmax(axis=1), len(task.labels))
    return Evaluation(
        bundle.bundle_id,
        task.name,
        chosen[0].data_set.name,
        split,
        len(chosen),
        len({sample.groups[0] for sample in chosen}),
        {
            name: judge(chosen, [task], {task.name: given}, resamples)
            for name, given in answers.items()
        },
        task.labels,
        confusion,
        _recalls(task.labels, confusion),
    )


def as_markdown(evaluation: Evaluation) -> str:
    """Return the evaluation as a section for a model card."""
    lines = [
        f"### {evaluation.task} on {evaluation.data_set}, split {evaluation.split}",
        "",
        f"{evaluation.n} samples of {evaluation.groups} groups; 95 % intervals over groups.",
        "",
        "| network | figure | value | interval |",
        "|---|---|---|---|",
    ]
    for network, tasks in evaluation.figures.items():
        for task, figures in tasks.items():
            for name, figure in figures.items():
                own = task.startswith(f"{evaluation.task}@")
                what = name if own else f"{task} {name}"
                lines.append(f"| {network} | {what.replace('_', ' ')} | {_cells(figure)} |")
    lines += ["", "| label | recall | " + " | ".join(evaluation.labels) + " |"]
    lines.append("|---" * (len(evaluation.labels) + 2) + "|")
    for label, row in zip(evaluation.labels, evaluation.confusion, strict=True):
        recall = evaluation.recalls[label]
        counts = " | ".join(str(count) for count in row)
        lines.append(f"| {label} | {'-' if recall is None else f'{recall:.2f}'} | {counts} |")
    return "\n".join(lines) + "\n"


def write_json(evaluations: Sequence[Evaluation], file: Path) -> None:
    """Write evaluations for machines."""
    content = [evaluation.as_json() for evaluation in evaluations]
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _confusion(
    truth: NDArray[np.intp], given: NDArray[np.intp], labels: int
) -> tuple[tuple[int, ...], ...]:
    counts = np.zeros((labels, labels), int)
    np.add.at(counts, (truth, given), 1)
    return tuple(tuple(row) for row in counts.tolist())


def _recalls(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> dict[str, float | None]:
    return {
        label: row[place] / sum(row) if sum(row) else None
        for place, (label, row) in enumerate(zip(labels, confusion, strict=True))
    }


def _cells(figure: Interval) -> str:
    if figure.value is None:
        return "- | -"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f} | -"
    return f"{figure.value:.3f} | {figure.low:.3f} to {figure.high:.3f}"
