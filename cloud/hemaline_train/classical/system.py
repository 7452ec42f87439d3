"""What a system of the literature is made of, and how every one of them is fitted and judged."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hemaline_shared.pixels.types import LeukocyteFinder
from hemaline_train.classical.bench import HOME, MASKED_SET, OTHER_LABORATORIES, Bench, Part
from hemaline_train.classical.counting import judge_finder
from hemaline_train.classical.described import Description
from hemaline_train.classical.learning import Answer, Learn, Lesson
from hemaline_train.classical.masked_images import measure_masks, read_masked_images
from hemaline_train.classical.masks import Segmenter
from hemaline_train.classical.report import Entry, Report, entries_of
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task
from hemaline_train.judging.judge import judge, judged_count
from hemaline_train.judging.metrics import Interval
from hemaline_train.judging.subjects import Probabilities


@dataclass(frozen=True, slots=True)
class Reading:
    """One way of answering tasks: describe the pictures, learn from the rows.

    Attributes:
        variant: Its name within the system; empty if there is only one.
    """

    variant: str
    tasks: tuple[Task, ...]
    description: Callable[[Bench], Description]
    learn: Learn


@dataclass(frozen=True, slots=True)
class System:
    """One system: everything it does is learned from train parts and judged on val parts.

    Attributes:
        reference: Where it comes from, in one line.
        method: What it does, in one line.
        weakness: What it is bad at, in one line.
        segment: Gives a cell's masks, if it segments.
        finder: Trains or makes what finds cells in fields, if it does.
        aside: Figures of its own making, with notes.
    """

    name: str
    reference: str
    method: str
    weakness: str
    readings: tuple[Reading, ...] = ()
    segment: Segmenter | None = None
    finder: Callable[[Bench], LeukocyteFinder] | None = None
    aside: Callable[[Bench], tuple[list[Entry], list[str]]] | None = None


def run_system(system: System, bench: Bench, resamples: int = 500) -> Report:
    """Fit a system and judge it in everything that it does.

    Raises:
        PermanentError: The data cannot be read.
    """
    start = time.process_time()
    entries: list[Entry] = []
    notes: list[str] = []
    if system.segment is not None:
        images = read_masked_images(bench.data / MASKED_SET, "val")
        groups = len({image.group for image in images})
        figures = measure_masks(system.segment, images, resamples)
        entries += entries_of(
            figures,
            variant="",
            task="segmentation",
            data_set=MASKED_SET,
            n=len(images),
            groups=groups,
        )
    for reading in system.readings:
        for task in reading.tasks:
            entries += _judge_reading(reading, task, bench, resamples)
    if system.finder is not None:
        entries += judge_finder(system.finder(bench), bench, resamples)
    if system.aside is not None:
        more, said = system.aside(bench)
        entries += more
        notes += said
    about = (system.name, system.reference, system.method, system.weakness)
    return Report(*about, time.process_time() - start, tuple(entries), tuple(notes))


def _judge_reading(reading: Reading, task: Task, bench: Bench, resamples: int) -> list[Entry]:
    description = reading.description(bench)
    home = HOME[task.name]
    taught = bench.part(task, home, "train")
    rows = description.rows(taught.pixels, bench.cache)[taught.places]
    answer = reading.learn(Lesson(rows, taught.targets, taught.groups, task.labels))
    entries = _judge_answer(reading, task, answer, bench.part(task, home, "val"), bench, resamples)
    for name in OTHER_LABORATORIES.get(task.name, ()):
        if (bench.data / name).is_dir():
            part = bench.part(task, name, "all")
            entries += _judge_answer(reading, task, answer, part, bench, resamples)
    return entries


def _judge_answer(
    reading: Reading, task: Task, answer: Answer, part: Part, bench: Bench, resamples: int
) -> list[Entry]:
    given = answer(reading.description(bench).rows(part.pixels, bench.cache)[part.places])
    return judged_entries(reading.variant, task, part, given, resamples)


def judged_entries(
    variant: str, task: Task, part: Part, given: Probabilities, resamples: int
) -> list[Entry]:
    """Return an entry for each figure of one task's answers."""
    report = judge(part.samples, [task], {task.name: np.asarray(given)}, resamples)
    return [
        entry
        for subject, figures in report.items()
        for name, figure in figures.items()
        for entry in entry_on(part.samples, variant, subject.partition("@")[0], name, figure)
    ]


def entry_on(
    samples: Sequence[Sample], variant: str, question: str, name: str, figure: Interval
) -> list[Entry]:
    """Return a figure of answers on samples of one data set, with what it counts, if defined."""
    n, groups = judged_count(question, name, samples)
    data_set = samples[0].data_set.name
    return entries_of(
        {name: figure}, variant=variant, task=question, data_set=data_set, n=n, groups=groups
    )
