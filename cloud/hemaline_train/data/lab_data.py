"""A lab's own images: from a folder of classes to a manifest that training understands."""

import hashlib
import os
import re
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.data.class_split import ClassSplit, class_splits
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.data.manifest_rows import refuse_overwriting, write_rows
from hemaline_train.data.tasks import Task

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})


def lab_data_set(name: str, task: Task, um_per_px: float | None) -> DataSet:
    """Describe a data set that is in no catalogue: its `label` column answers one task.

    Args:
        name: Of its folder.
        task: With the lab's own labels.
        um_per_px: The optics; None to judge them by each image's red cells.
    """
    return DataSet(
        name=name,
        title="a lab's own images",
        licence="the lab's own",
        source="the lab",
        obtain="ask the lab",
        traps="Unknown: measure them with `hemaline-train data check`.",
        view=task.view,
        cells="middle" if task.view == "cell" else "none",
        tasks=(task,),
        group_columns=("group",),
        um_per_px=lambda _: um_per_px,
        labels_of=lambda row: {task.name: row["label"]},
    )


def adopt(folder: Path, group_pattern: str, val_share: float) -> list[ClassSplit]:
    """Write the manifest of a folder that holds one folder of pictures for each class.

    Args:
        folder: `folder/<class>/…/<picture>`.
        group_pattern: A regular expression searched in each picture's path within its class; what
            its first group matches is the patient or slide, which a split must not tear apart.
        val_share: The part of the groups that judges.

    Returns:
        How each class falls to the two sides.

    Raises:
        PermanentError: `folder-missing`, `manifest-exists`, `no-pictures`, `file-name`,
            `group-pattern`: it is no regular expression, `no-group`: it does not match a picture,
            whose name is given, or `manifest-unwritten`.
    """
    if not folder.is_dir():
        raise PermanentError(
            "folder-missing", f"{folder} is no folder. Name one that holds a folder for each class."
        )
    refuse_overwriting(folder / MANIFEST_NAME)
    pattern = _compiled(group_pattern)
    rows = [
        (picture.relative_to(folder).as_posix(), kind.name, group, side_of(group, val_share))
        for kind in sorted(path for path in folder.iterdir() if path.is_dir())
        for picture in pictures_in(kind)
        for group in (_group(picture.relative_to(kind), pattern),)
    ]
    if not rows:
        raise PermanentError("no-pictures", f"{folder} holds no <class>/<picture>.")
    write_rows(folder / MANIFEST_NAME, ("file", "label", "group", "split"), rows)
    return class_splits([(kind, group, split) for _, kind, group, split in rows])


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise PermanentError(
            "group-pattern",
            f"{pattern!r} is no regular expression: {error}. For P07_cell3.png '^([^_]+)_' is one.",
        ) from error


def _group(picture: Path, pattern: re.Pattern[str]) -> str:
    found = pattern.search(picture.as_posix())
    # A part that may be missing, such as '^(X\d+)?', matches nothing and finds nobody.
    group = found.group(1) if found and pattern.groups else None
    if not group:
        raise PermanentError(
            "no-group",
            f"The pattern {pattern.pattern!r} finds no patient or slide in {picture}. It needs one "
            "pair of brackets round the part that names it, such as '^([^_]+)_' for P07_cell3.png.",
        )
    return group


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures below a folder, sorted, without hidden files.

    Raises:
        PermanentError: `file-name`: a path is not UTF-8, and a manifest could not name it.
    """
    pictures = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _PICTURES and not path.name.startswith(".")
    ]
    for path in pictures:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        if shown != str(path):
            raise PermanentError("file-name", f"Rename {shown}: its name is not UTF-8.")
    return pictures


def side_of(group: str, val_share: float) -> str:
    """Return "train" or "val" by the name alone: pictures added later fall on the same side."""
    number = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") / 2**32
    return "val" if number < val_share else "train"
