"""The labelled samples of a data set: which file, where in it, what label, whose patient."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.manifest import MANIFEST_NAME, parse_white_cells


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, or one cell of it, and everything that is known about it.

    Attributes:
        groups: What must stay on one side of a split: patient, slide, overlap cluster; each
            prefixed with the data set and the column. The first is the unit of intervals.
        box: The cell; None where it is the one near the middle, or where a field is the sample.
        labels: Task name -> label; a task that is missing does not apply.
    """

    data_set: DataSet
    path: Path
    split: str
    groups: tuple[str, ...]
    box: Box | None
    um_per_px: float | None
    labels: Mapping[str, str]


def read_samples(data_set: DataSet, folder: Path) -> list[Sample]:
    """Read a data set's samples in the order of its manifest.

    Args:
        data_set: How the manifest's columns are to be understood.
        folder: Holds `manifest.tsv` and the images.

    Raises:
        PermanentError: `manifest-missing`, `manifest-column`, `manifest-box` or `unknown-label`.
    """
    return [
        sample
        for number, row in enumerate(_rows(folder, data_set.group_columns), start=2)
        for sample in _samples_of(data_set, folder, row, f"{folder / MANIFEST_NAME}, line {number}")
    ]


def labels_in(folder: Path) -> set[str]:
    """Return every label of a manifest.

    Raises:
        PermanentError: `manifest-missing` or `manifest-column`.
    """
    return {row["label"] for row in _rows(folder)}


def _rows(folder: Path, group_columns: Sequence[str] = ()) -> list[dict[str, str]]:
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise PermanentError("manifest-missing", f"{path} does not exist: is {folder} a data set?")
    with path.open(encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines, delimiter="\t")
        missing = sorted({"file", "label", "split", *group_columns} - set(table.fieldnames or ()))
        if missing:
            raise PermanentError("manifest-column", f"{path} has no column {', '.join(missing)}.")
        return list(table)


def _samples_of(
    data_set: DataSet, folder: Path, row: Mapping[str, str], where: str
) -> list[Sample]:
    labels = data_set.labels_of(row)
    for task in data_set.tasks:
        label = labels.get(task.name)
        if label is not None and task.index(label) < 0:
            raise PermanentError("unknown-label", f"{where}: {task.name} has no label {label!r}.")
    boxes: tuple[Box | None, ...] = (None,)
    if data_set.cells == "boxes":
        try:
            boxes = parse_white_cells(row["bbox"])
        except ValueError as error:
            raise PermanentError("manifest-box", f"{where}: {error}.") from error
    return [
        Sample(
            data_set=data_set,
            path=folder / row["file"],
            split=row["split"],
            groups=tuple(
                f"{data_set.name}/{column}={row[column]}" for column in data_set.group_columns
            ),
            box=box,
            um_per_px=data_set.um_per_px(row),
            labels=labels,
        )
        for box in boxes
    ]
