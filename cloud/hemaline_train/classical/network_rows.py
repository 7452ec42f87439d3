"""The rows of trained bundles: every network and their average, on the samples of the systems."""

import time
from collections.abc import Iterator
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import Bundle, read_bundle
from hemaline_train.classical.bench import HOME, OTHER_LABORATORIES, Bench
from hemaline_train.classical.report import Entry, Report
from hemaline_train.classical.system import entry_on
from hemaline_train.judging.blasts import BLAST_TASK
from hemaline_train.reports.evaluate import Answered, answer

_PREFIXES = {"blast_vs_lymphocyte_": BLAST_TASK}
"""Figures that a task's evaluation holds of another question -> that question."""

_REFERENCES = {
    "resnet34": "He et al. 2016 (ResNet-34)",
    "densenet121": "Huang et al. 2017 (DenseNet-121)",
    "efficientnet-lite0": "Liu 2020 (EfficientNet-Lite0, after Tan and Le 2019)",
    "efficientnet-lite2": "Liu 2020 (EfficientNet-Lite2, after Tan and Le 2019)",
}


def report_of_bundle(folder: Path, bench: Bench, resamples: int = 500) -> Report:
    """Judge a bundle where the systems are judged; never on what its training saw.

    Raises:
        PermanentError: The bundle or the data cannot be read.
    """
    start = time.process_time()
    entries: list[Entry] = []
    notes: list[str] = []
    bundle = read_bundle(folder)
    for one in _answers(bundle, bench):
        if one.training_saw:
            home = one.samples[0].data_set.name
            notes.append(f"{one.task.name} on {home}: left out, training saw these samples.")
        else:
            entries += _entries(one, resamples)
    notes.append(
        "Temperatures and votes were fitted on these val parts: the calibration error above all is "
        "too good to stand beside the others'."
    )
    return Report(
        folder.name,
        "; ".join(_REFERENCES.get(one.name, one.name) for one in bundle.networks),
        "convolutional networks taught by Hemaline, calibrated; see the bundle's model card",
        "see the model card",
        time.process_time() - start,
        tuple(entries),
        tuple(notes),
    )


def _answers(bundle: Bundle, bench: Bench) -> Iterator[Answered]:
    judged = [(name, "val") for name in dict.fromkeys(HOME.values())]
    judged += [(name, "all") for names in OTHER_LABORATORIES.values() for name in names]
    for name, split in judged:
        if (bench.data / name).is_dir():
            try:
                yield from answer(bundle, bench.data / name, split, bench.cache)
            except PermanentError as error:
                # A bundle of one task does not speak to every data set.
                if error.reason != "no-samples":
                    raise


def _entries(answered: Answered, resamples: int) -> list[Entry]:
    evaluation = answered.evaluation(resamples)
    return [
        entry
        for network, own in evaluation.networks.items()
        for metric, figure in own.metrics.items()
        for entry in entry_on(
            answered.samples, network, *_question(evaluation.task, metric), figure
        )
    ]


def _question(task: str, metric: str) -> tuple[str, str]:
    for prefix, question in _PREFIXES.items():
        if metric.startswith(prefix):
            return question, metric.removeprefix(prefix)
    return task, metric
