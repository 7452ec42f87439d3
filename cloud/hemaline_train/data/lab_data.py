"""A lab's own images: from a folder of classes to a manifest that training understands."""

import csv
import hashlib
import re
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.manifest import MANIFEST_NAME
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


def adopt(folder: Path, group_pattern: str, val_share: float) -> dict[str, int]:
    """Write the manifest of a folder that holds one folder of pictures for each class.

    Args:
        folder: `folder/<class>/…/<picture>`.
        group_pattern: A regular expression searched in each picture's path within its class; what
            its first group matches is the patient or slide, which a split must not tear apart.
        val_share: The part of the groups that judges.

    Returns:
        Class -> how many pictures.

    Raises:
        PermanentError: `manifest-exists`, `no-pictures`, or `no-group`: the pattern does not match
            a picture; the message names it.
    """
    refuse_manifest(folder)
    rows = [
        (str(picture.relative_to(folder)), kind.name, group, side_of(group, val_share))
        for kind in sorted(path for path in folder.iterdir() if path.is_dir())
        for picture in pictures_in(kind)
        for group in (_group(picture.relative_to(kind), group_pattern),)
    ]
    if not rows:
        raise PermanentError("no-pictures", f"{folder} holds no <class>/<picture>.")
    with (folder / MANIFEST_NAME).open("x", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines, delimiter="\t", lineterminator="\n")
        table.writerows([("file", "label", "group", "split"), *rows])
    kinds = [kind for _, kind, _, _ in rows]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


def _group(picture: Path, pattern: str) -> str:
    found = re.search(pattern, picture.as_posix())
    if found is None or not found.groups():
        raise PermanentError(
            "no-group",
            f"The pattern {pattern!r} finds no patient or slide in {picture}. It needs one pair of "
            "brackets round the part that names it, such as '^([^_]+)_' for P07_cell3.png.",
        )
    return found.group(1)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures below a folder, sorted, without hidden files."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _PICTURES and not path.name.startswith(".")
    ]


def refuse_manifest(folder: Path) -> None:
    """Raise PermanentError `manifest-exists` rather than write over a manifest."""
    if (folder / MANIFEST_NAME).exists():
        raise PermanentError(
            "manifest-exists", f"{folder / MANIFEST_NAME} is there already; it stays as it is."
        )


def side_of(group: str, val_share: float) -> str:
    """Return "train" or "val" by the name alone: pictures added later fall on the same side."""
    number = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") / 2**32
    return "val" if number < val_share else "train"
