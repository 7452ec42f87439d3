"""Where a system finds what it learns from and what judges it: the same splits as the networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.data.catalogue import known_data_set
from hemaline_train.data.leakage import connected_groups
from hemaline_train.data.manifest import LabelledImage, read_manifest
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample, read_samples
from hemaline_train.data.tasks import Task

HOME = {
    "cell-class": "aml-deepapl",
    "cell-fine": "aml-deepapl",
    "apl": "aml-deepapl",
    "all-subtype": "all-taleqani",
}
"""Task -> the data set that teaches and judges it."""

OTHER_LABORATORIES = {"cell-class": ("chula-wbc5",)}
"""Task -> data sets that no system learns from; all of their samples judge."""

FIELD_SETS = ("bccd", "txl-pbc", "draaslan-bcd")
"""Data sets with boxes whose train part teaches finders and whose val part judges them."""

OTHER_FIELD_SETS = ("chula-wbc5", "wbc-seg")
"""Data sets with boxes that no network learns from; all of their images judge."""

MASKED_SET = "wbc-seg"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Samples that know the answer to one task.

    Attributes:
        pixels: Of the whole data set, so that it is described once for all tasks and splits.
        places: Of the samples in it, shape (n,).
        targets: Places among the task's labels, shape (n,).
        groups: Numbers of what a fold must not tear apart, shape (n,).
    """

    samples: tuple[Sample, ...]
    pixels: NDArray[np.uint8]
    places: NDArray[np.intp]
    targets: NDArray[np.intp]
    groups: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Bench:
    """The places that a system works with.

    Attributes:
        data: Holds one folder a data set.
        cache: For prepared pixels and rows of features.
        weights: Holds published weights; None without any.
    """

    data: Path
    cache: Path
    weights: Path | None = None

    def part(self, task: Task, data_set: str, split: str) -> Part:
        """Return the samples of one split, "all" for every one.

        Raises:
            PermanentError: The data cannot be read, or `no-samples`.
        """
        read = read_samples(known_data_set(data_set), self.data / data_set)
        # All of a set are prepared at once: so the networks did, and the cache holds them.
        pixels = prepare(read, self.cache)
        groups = np.array(connected_groups(read))
        at = [
            place
            for place, sample in enumerate(read)
            if task.name in sample.labels and split in (sample.split, "all")
        ]
        if not at:
            raise PermanentError(
                "no-samples", f"{self.data / data_set} has no {split} sample of {task.name}."
            )
        chosen = tuple(read[place] for place in at)
        targets = np.array([task.index(sample.labels[task.name]) for sample in chosen])
        return Part(chosen, pixels, np.array(at), targets, groups[at])

    def fields(self, names: Sequence[str], split: str) -> dict[str, list[LabelledImage]]:
        """Return the labelled fields of one split, "all" for every one, of each data set."""
        return {
            name: [
                image for image in read_manifest(self.data / name) if split in (image.split, "all")
            ]
            for name in names
        }
