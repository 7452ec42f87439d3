"""Raabin-WBC, the double-labelled cropped cells: five classes, three parts."""

import re
from pathlib import Path

from hemaline_train.data.data_set import DataSet
from hemaline_train.data.public_sets.layout import Entry, PublicSet, of_classes
from hemaline_train.data.tasks import CELL_CLASS

_CLASSES = {
    name: name for name in ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")
}
_PARTS = {"train": "train", "testa": "test-a", "testb": "test-b"}
_PHOTOGRAPH = re.compile(r"^(\d{8}_\d{6})")


def _read(folder: Path) -> list[Entry]:
    entries = []
    for picture, label in of_classes(folder, _CLASSES):
        part = next(
            (_PARTS[name.lower()] for name in picture.parts if name.lower() in _PARTS), None
        )
        if part is not None:
            taken = _PHOTOGRAPH.match(picture.name)
            link = taken.group(1) if taken else ""
            entries.append(Entry(picture, label, link, part, {"um_per_px": ""}))
    return entries


RAABIN = PublicSet(
    DataSet(
        name="raabin-wbc",
        title="Raabin-WBC: normal white cells, double-labelled and cropped",
        licence="free for commercial and non-commercial use (the publisher's words)",
        source="Kouzehkanan et al., Scientific Reports 2022;12:1123",
        obtain="raabindata.com/free-data: Train, TestA and TestB of the double-labelled cropped "
        "cells",
        traps="No patients or smears are published for the crops; names that begin with a "
        "camera's time are grouped by photograph (that all do is unverified). TestA shares the "
        "optics of Train, TestB has another microscope and camera: report them apart, TestB is "
        "the honest one. BatchNorm networks fell from 98.5 to 23.1 % on LISC after it. Never "
        "beside txl-pbc, which holds some of these images.",
        view="cell",
        cells="middle",
        tasks=(CELL_CLASS,),
        group_columns=("group",),
        um_per_px=lambda row: float(row["um_per_px"]) if row["um_per_px"] else None,
        labels_of=lambda row: {CELL_CLASS.name: row["label"]},
        further_columns=("um_per_px",),
        same_images_as=("txl-pbc",),
    ),
    "Train, TestA and TestB, each with folders Basophil, Eosinophil, Lymphocyte …",
    _read,
    "pictures",
    "measured",
)
