"""The labelled samples of a data set: which file, where in it, what label, whose patient."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.found_classes import FURTHER_GROUP, with_classes
from hemaline_train.data.manifest import MANIFEST_NAME, parse_white_cells
from hemaline_train.data.manifest_rows import read_rows
from hemaline_train.data.reviewed import Review, verdicts_on

_COLUMNS = ("file", "label", "split")


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, or one cell of it, and everything that is known about it.

    Attributes:
        groups: What must stay on one side of a split: patient, slide, overlap cluster; each
            prefixed with the patients' data set and the column. The first is the unit of intervals.
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


def read_samples(data_set: DataSet, folder: Path, *, reviewed: bool = True) -> list[Sample]:
    """Read a data set's samples in the order of its manifest.

    Args:
        data_set: How the manifest's columns are to be understood.
        folder: Holds `manifest.tsv` and the images.
        reviewed: Whether what people found of single labels counts (`data.reviewed`): a dropped
            picture is no sample, and a label that is plainly another one is that one.

    Raises:
        PermanentError: `manifest-missing`, `manifest-text`, `manifest-column`, `manifest-value`,
            `manifest-box`, `unknown-label`, `review`: the verdicts cannot be read, or `no-samples`:
            there is not one.
    """
    boxes = ("bbox",) if data_set.cells == "boxes" else ()
    named = (*_COLUMNS, *data_set.group_columns)
    rows = read_rows(
        folder / MANIFEST_NAME,
        tuple(dict.fromkeys((*named, *data_set.further_columns, *boxes))),
        f"{folder} is read as {data_set.name}, {data_set.title}: if it is something else, give the "
        "folder another name.",
    )
    for where, row in rows:
        empty = next((column for column in named if not row[column]), None)
        if empty is not None:
            raise PermanentError("manifest-value", f"{where}: {empty} is empty.")
    rows = with_classes(data_set, folder, rows)
    verdicts = verdicts_on(data_set.name, folder) if reviewed else {}
    samples = [
        one
        for where, row in rows
        for one in _samples_of(data_set, folder, row, where, verdicts.get(row["file"]))
    ]
    if not samples:
        raise PermanentError("no-samples", f"{folder / MANIFEST_NAME} lists no picture or cell.")
    return samples


def labels_in(folder: Path) -> set[str]:
    """Return every label of a manifest.

    Raises:
        PermanentError: `manifest-missing`, `manifest-text` or `manifest-column`.
    """
    return {row["label"] for _, row in read_rows(folder / MANIFEST_NAME, _COLUMNS)}


def _samples_of(
    data_set: DataSet, folder: Path, row: Mapping[str, str], where: str, review: Review | None
) -> list[Sample]:
    given, um_per_px = _labels(data_set, row, where), _um_per_px(data_set, row, where)
    labels = given
    if review is not None and review.label == next(iter(given.values()), ""):
        if review.verdict == "drop":
            return []
        if review.verdict == "other":
            put_right = {**row, data_set.label_column: review.other}
            labels = _labels(data_set, put_right, f"{where}, as reviewed")
    groups = tuple(f"{data_set.home}/{column}={row[column]}" for column in data_set.group_columns)
    groups += (row[FURTHER_GROUP],) if row.get(FURTHER_GROUP) else ()
    samples = []
    for kind, box in _cells(data_set, row, where):
        # The row's label is that of one cell; a neighbour whose box names a kind has its own.
        named = kind not in given.values() and any(kind in task.labels for task in data_set.tasks)
        own = data_set.labels_of({**row, data_set.label_column: kind}) if named else labels
        path, split = folder / row["file"], row["split"]
        samples.append(Sample(data_set, path, split, groups, box, um_per_px, own))
    return samples


def _cells(
    data_set: DataSet, row: Mapping[str, str], where: str
) -> Sequence[tuple[str, Box | None]]:
    """Return the kind that each cell's box names, empty where nothing is boxed, and the box."""
    if data_set.cells != "boxes":
        return [("", None)]
    try:
        return parse_white_cells(row["bbox"])
    except ValueError as error:
        raise PermanentError("manifest-box", f"{where}: {error}.") from error


def _labels(data_set: DataSet, row: Mapping[str, str], where: str) -> dict[str, str]:
    labels = data_set.labels_of(row)
    for task in data_set.tasks:
        label = labels.get(task.name)
        if label is not None and task.index(label) < 0:
            raise PermanentError("unknown-label", f"{where}: {task.name} has no label {label!r}.")
    return labels


def _um_per_px(data_set: DataSet, row: Mapping[str, str], where: str) -> float | None:
    try:
        um_per_px = data_set.um_per_px(row)
    except ValueError as error:
        raise PermanentError("manifest-value", f"{where}: um_per_px: {error}.") from error
    if um_per_px is not None and not 0 < um_per_px < math.inf:
        raise PermanentError("manifest-value", f"{where}: um_per_px is {um_per_px}: no scale.")
    return um_per_px
