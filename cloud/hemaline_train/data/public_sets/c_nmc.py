"""C-NMC 2019: segmented cells of 118 subjects, leukaemic B-lymphoblasts and normal ones."""

import csv
import re
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.lab_data import pictures_in
from hemaline_train.data.public_sets.layout import Entry, PublicSet, of_classes
from hemaline_train.data.tasks import ALL_CELL

_SUBJECT = re.compile(r"^UID_(H?\d+)_", re.IGNORECASE)
_FOLDERS = {"all": "ALL", "hem": "healthy"}
_LABELS = "*prelim*labels*.csv"


def _read(folder: Path) -> list[Entry]:
    trained = [
        Entry(picture, label, _subject(picture.name), "train")
        for picture, label in of_classes(folder, _FOLDERS)
    ]
    judged = _preliminary_test(folder)
    # Without the test part the training part is the whole, and is split by subject.
    return [*trained, *judged] if judged else [Entry(x.file, x.label, x.link) for x in trained]


def _preliminary_test(folder: Path) -> list[Entry]:
    """Read the images that a table renames: `Patient_ID,new_names,labels`, 1 being ALL."""
    tables = sorted(folder.rglob(_LABELS))
    if not tables:
        return []
    pictures = {path.name: path.relative_to(folder) for path in pictures_in(tables[0].parent)}
    with tables[0].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    entries = []
    for row in rows:
        subject = _subject(row.get("Patient_ID") or "")
        picture = pictures.get(row.get("new_names") or "")
        if picture is not None and row.get("labels") in {"0", "1"}:
            entries.append(Entry(picture, ALL_CELL.labels[int(row["labels"])], subject, "val"))
    if len(entries) < len(rows):
        missing = len(rows) - len(entries)
        raise PermanentError(
            "public-layout", f"{missing} rows of {tables[0]} name no image beside it, or no label."
        )
    return entries


def _subject(name: str) -> str:
    found = _SUBJECT.match(name)
    if found is None:
        raise PermanentError("no-group", f"{name!r} is not UID_<subject>_…: whose cell is it?")
    # Copies in circulation spell some healthy subjects h3 instead of H3.
    return f"subject-{found.group(1).upper()}"


C_NMC = PublicSet(
    DataSet(
        name="c-nmc",
        title="C-NMC 2019: B-lymphoblasts and normal cells of 118 subjects",
        licence="CC BY 3.0",
        source="Gupta & Gupta, The Cancer Imaging Archive 2019, doi 10.7937/tcia.2019.dc64i46r "
        "(doi unverified); ISBI 2019 challenge",
        obtain="cancerimagingarchive.net, collection C-NMC 2019; or Kaggle "
        "andrewmvd/leukemia-classification",
        traps="The name holds the subject (UID_<subject>_<image>_<cell>): random splits inflate "
        "AUROC by 0.04 (0.913 with subjects apart). Cells are cut out on black: never mix "
        "with images of other sets, the background would be the label, and expect nothing on "
        "whole fields. The check for look-alikes was never tried on such cut-outs. The optics "
        "are unknown: 0.05 µm a pixel is chosen so that a crop shows the whole image. The final "
        "test part has no labels and is left out.",
        view="cell",
        cells="middle",
        tasks=(ALL_CELL,),
        group_columns=("group",),
        um_per_px=lambda _: 0.05,
        labels_of=lambda row: {ALL_CELL.name: row["label"]},
        by_patient=True,
    ),
    "fold_0 to fold_2 with all/ and hem/ of UID_<subject>_…bmp, and the preliminary test part with "
    "its table of labels",
    _read,
    "patients",
)
