"""What else is known of a manifest's rows: classes that were found later, in a further file."""

from pathlib import Path
from typing import TypeAlias

from hemaline_train.data.data_set import ClassFile, DataSet
from hemaline_train.data.manifest_rows import read_rows

Rows: TypeAlias = list[tuple[str, dict[str, str]]]
"""Where each row stands, and its values."""

FURTHER_GROUP = "further group"
"""In a row: a group of another set that this image belongs to as well."""


def with_classes(data_set: DataSet, folder: Path, rows: Rows) -> Rows:
    """Add the columns `class` and `FURTHER_GROUP` where a set has its classes in a further file.

    Images that the file keeps from all classifiers are left out.

    Raises:
        PermanentError: `manifest-text` or `manifest-column`: the file is no such table.
    """
    known = data_set.class_file
    if known is None:
        return rows
    classes = _classes(known, folder / known.name)
    added = []
    for where, row in rows:
        further = classes.get(row["file"], {"class": "", FURTHER_GROUP: ""})
        if further is not None:
            added.append((where, {**row, **further}))
    return added


def _classes(known: ClassFile, file: Path) -> dict[str, dict[str, str] | None]:
    """Return file -> what is known of it; None where it must not be used."""
    if not file.exists():
        return {}
    columns = ("file", known.label_column, known.use_column, known.group_column)
    found: dict[str, dict[str, str] | None] = {}
    for _, row in read_rows(file, columns):
        group = f"{known.group_of}/group={row[known.group_column]}"
        usable = row[known.use_column] != known.banned
        further = {"class": row[known.label_column], FURTHER_GROUP: group}
        found[row["file"]] = further if usable else None
    return found
