"""A laboratory's labelled cells in a bundle's words, and who of them is kept back when."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import Bundle
from hemaline_train.data.catalogue import KNOWN, known_data_set
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample, labels_in, read_samples
from hemaline_train.data.tasks import MERGED, Task
from hemaline_train.reports.foreign_labels import foreign_data_set, told

_PARTS = 5
LEARNED = "train"
"""The split of the manifest's rows that are learned from."""
_BESIDE = 40
"""Cells of a class that nobody labelled in the laboratory, at most, from each folder beside it."""


@dataclass(frozen=True, slots=True, eq=False)
class LabCells:
    """What a laboratory labelled, and cells from elsewhere of classes that it did not.

    Attributes:
        samples: Those whose class the bundle has a name for.
        pixels: Their crops, shape (n, CROP_PX, CROP_PX, 3).
        classes: Place of each cell's class among the naming task's labels, shape (n,).
        learned: Which may be learned from, shape (n,); the others only judge.
        parts: Shape (n,): what is in one part is judged by heads that saw nothing of it.
        own: Which are the laboratory's, shape (n,).
        left_out: A sentence on what the bundle has no name for; empty where there is none.
    """

    samples: tuple[Sample, ...]
    pixels: NDArray[np.uint8]
    classes: NDArray[np.intp]
    learned: NDArray[np.bool_]
    parts: NDArray[np.intp]
    own: NDArray[np.bool_]
    left_out: str

    @property
    def groups(self) -> list[str]:
        """Whose each cell is."""
        return [sample.groups[0] for sample in self.samples]

    def drawn(self, count: int | None, part: int | None, seed: int) -> NDArray[np.intp]:
        """Return places of cells to learn from, at most so many a class.

        Args:
            count: Of each class; None for all.
            part: Of which nothing is drawn; None to draw of all.
            seed: Repeats the draw.
        """
        pool = np.flatnonzero(self.learned & (self.parts != (-1 if part is None else part)))
        mixed = np.random.default_rng(seed).permutation(pool)
        kinds = [mixed[self.classes[mixed] == kind][:count] for kind in np.unique(self.classes)]
        return np.sort(np.concatenate(kinds))


def naming_task(bundle: Bundle) -> Task:
    """Return the task that names a bundle's cells.

    Raises:
        PermanentError: `no-cells`: it looks at whole fields only.
    """
    task = next((one for one in bundle.tasks if one.view == "cell"), None)
    if task is None:
        raise PermanentError(
            "no-cells", f"{bundle.bundle_id} names no cells: it looks at whole fields."
        )
    return task


def taught_tasks(bundle: Bundle) -> tuple[Task, ...]:
    """Return the tasks whose heads learn: the one that names cells, and its finer sisters."""
    return tuple(
        task for task in bundle.tasks if task.view == "cell" and not task.asked_of_immature_cells
    )


def read_lab_cells(
    bundle: Bundle, folder: Path, cache: Path, um_per_px: float | None = None
) -> LabCells:
    """Read a folder that `data adopt` wrote the manifest of, or a known set's.

    Raises:
        PermanentError: The data cannot be read, `unknown-label`: the bundle has a name for none of
            its classes, `no-samples`: nothing is to be learned from, or `no-kept-back`: all cells
            are of one patient, so that nobody is left to judge.
    """
    read = _samples(bundle, folder, um_per_px)
    places = [_class_of(naming_task(bundle), one) for one in read]
    named = [(one, place) for one, place in zip(read, places, strict=True) if place >= 0]
    samples = tuple(one for one, _ in named)
    learned = np.array([one.split == LEARNED for one in samples])
    if not learned.any():
        raise PermanentError(
            "no-samples", f"No row of {folder} has the split {LEARNED}: nothing is learned from."
        )
    parts = _parts([one.groups[0] for one in samples], learned)
    if len(np.unique(parts)) < 2:
        raise PermanentError(
            "no-kept-back",
            f"All cells of {folder} are of one patient: with nobody kept back nothing says whether "
            "adapting helps. Label cells of a second one.",
        )
    words = (next(iter(one.labels.values()), "") for one in read)
    others = Counter(word for word, place in zip(words, places, strict=True) if place < 0)
    return LabCells(
        samples,
        prepare(samples, cache),
        np.array([place for _, place in named], np.intp),
        learned,
        parts,
        np.ones(len(samples), np.bool_),
        told({word: n for word, n in others.items() if word}, bundle.bundle_id),
    )


def with_cells_beside(bundle: Bundle, cells: LabCells, folder: Path, cache: Path) -> LabCells:
    """Add cells of another folder, of classes of which the laboratory's folder has none.

    They are learned from and kept back as its own. Of a set that taught the bundle, only what was
    kept from training is taken: of the rest the shipped heads know the labels by heart.

    Raises:
        PermanentError: The data cannot be read, or `unknown-label`.
    """
    task = naming_task(bundle)
    missing = set(unlabelled(task, cells))
    read = _samples(bundle, folder, None)
    if folder.absolute().name in {name for one in bundle.configs for name in one["data_sets"]}:
        read = [one for one in read if one.split != LEARNED]
    chosen = list(_at_most(task, read, missing))
    if not chosen:
        return cells
    samples = tuple(one for one, _ in chosen)
    parts = _parts([one.groups[0] for one in samples], np.ones(len(samples), np.bool_))
    return LabCells(
        (*cells.samples, *samples),
        np.concatenate([cells.pixels, prepare(samples, cache)]),
        np.append(cells.classes, [place for _, place in chosen]),
        np.append(cells.learned, np.ones(len(samples), np.bool_)),
        np.append(cells.parts, parts),
        np.append(cells.own, np.zeros(len(samples), np.bool_)),
        cells.left_out,
    )


def unlabelled(task: Task, cells: LabCells) -> Sequence[str]:
    """Return the labels of which no cell is learned from: nothing judges what becomes of them."""
    there = set(cells.classes[cells.learned].tolist())
    return [label for place, label in enumerate(task.labels) if place not in there]


def allowed_labels(task: Task, samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """Return which of a task's labels each cell may have, shape (n, labels); none: nobody knows.

    A fine label says what it merges into, a merged one which fine ones it may be.
    """
    return np.array(
        [[_may_be(label, task, one.labels) for label in task.labels] for one in samples]
    )


def _may_be(label: str, task: Task, called: Mapping[str, str]) -> bool:
    own = called.get(task.name)
    if own in task.labels:
        return label == own
    return any(
        label in (MERGED.get(one), one) or MERGED.get(label) == one for one in called.values()
    )


def _samples(bundle: Bundle, folder: Path, um_per_px: float | None) -> list[Sample]:
    """Read a folder; at least one of its labels has a name in the bundle."""
    task, name = naming_task(bundle), folder.absolute().name
    described = (
        known_data_set(name)
        if name in KNOWN
        else foreign_data_set(name, labels_in(folder), bundle.tasks, um_per_px)
    )
    read = read_samples(described, folder)
    if all(_class_of(task, one) < 0 for one in read):
        words = sorted({label for one in read for label in one.labels.values()})
        raise PermanentError(
            "unknown-label",
            f"{folder} has none of the classes of {bundle.bundle_id}: it has {', '.join(words)}, "
            f"and the bundle {', '.join(task.labels)}. Rename the folders, or train a network of "
            "your own.",
        )
    return read


def _at_most(
    task: Task, samples: Sequence[Sample], wanted: set[str]
) -> Iterator[tuple[Sample, int]]:
    """Yield samples of each wanted label, evenly spread over the manifest, and their class."""
    for place, label in enumerate(task.labels):
        own = [one for one in samples if label in wanted and _class_of(task, one) == place]
        spread = np.linspace(0, len(own) - 1, min(len(own), _BESIDE)).astype(int)
        yield from ((own[at], place) for at in spread.tolist())


def _class_of(task: Task, sample: Sample) -> int:
    allowed = allowed_labels(task, [sample])[0]
    return int(allowed.argmax()) if allowed.sum() == 1 else -1


def _parts(groups: Sequence[str], learned: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return each cell's part: one for all that only judge, the others alike in size.

    Groups stay whole, and the largest are placed first.
    """
    sizes = Counter(group for group, learns in zip(groups, learned, strict=True) if learns)
    filled = dict.fromkeys(range(min(_PARTS, len(sizes))), 0)
    part_of = {}
    for group, size in sorted(sizes.items(), key=lambda one: (-one[1], one[0])):
        part_of[group] = min(filled, key=lambda part: (filled[part], part))
        filled[part_of[group]] += size
    return np.array([part_of.get(group, _PARTS) for group in groups], np.intp)
