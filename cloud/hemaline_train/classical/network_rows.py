"""The rows of trained bundles: every network and their average, on the samples of the systems."""

import time
from collections.abc import Iterator
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.classical.bench import HOME, OTHER_LABORATORIES, Bench
from hemaline_train.classical.report import Entry, Report, entries_of
from hemaline_train.judging.task_evaluation import TaskEvaluation
from hemaline_train.reports.evaluate import evaluate_bundle

_PREFIXES = {"blast_vs_lymphocyte_": "blast-vs-lymphocyte"}
"""Figures that a task's evaluation holds of another question -> that question."""


def report_of_bundle(folder: Path, bench: Bench, resamples: int = 500) -> Report:
    """Judge a bundle where the systems are judged; never on what its training saw.

    Raises:
        PermanentError: The bundle or the data cannot be read.
    """
    start = time.process_time()
    entries: list[Entry] = []
    notes: list[str] = []
    for one in _evaluations(folder, bench, resamples):
        if one.training_saw:
            notes.append(f"{one.task} on {one.data_set}: left out, training saw these samples.")
        else:
            entries += _entries(one)
    return Report(
        folder.name,
        "He et al. 2016 (ResNet-34); Huang et al. 2017 (DenseNet-121)",
        "convolutional networks taught by Hemaline, calibrated; see the bundle's model card",
        "see the model card",
        time.process_time() - start,
        tuple(entries),
        tuple(notes),
    )


def _evaluations(folder: Path, bench: Bench, resamples: int) -> Iterator[TaskEvaluation]:
    judged = [(name, "val") for name in dict.fromkeys(HOME.values())]
    judged += [(name, "all") for names in OTHER_LABORATORIES.values() for name in names]
    for name, split in judged:
        if (bench.data / name).is_dir():
            try:
                yield from evaluate_bundle(
                    folder, bench.data / name, split, bench.cache, resamples=resamples
                )
            except PermanentError as error:
                # A bundle of one task does not speak to every data set.
                if error.reason != "no-samples":
                    raise


def _entries(evaluation: TaskEvaluation) -> list[Entry]:
    entries = []
    for network, own in evaluation.networks.items():
        for metric, figure in own.metrics.items():
            task, name = _question(evaluation.task, metric)
            entries += entries_of(
                {name: figure},
                variant=network,
                task=task,
                data_set=evaluation.data_set,
                n=evaluation.n,
                groups=evaluation.groups,
            )
    return entries


def _question(task: str, metric: str) -> tuple[str, str]:
    for prefix, question in _PREFIXES.items():
        if metric.startswith(prefix):
            return question, metric.removeprefix(prefix)
    return task, metric
