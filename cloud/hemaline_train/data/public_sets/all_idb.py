"""ALL-IDB1 and ALL-IDB2, University of Milan: fields and cells of acute lymphoblastic leukaemia."""

import re
from collections.abc import Iterator
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.lab_data import pictures_in
from hemaline_train.data.public_sets.layout import Entry, PublicSet
from hemaline_train.data.tasks import ALL_CELL, ALL_FIELD

_NAME = re.compile(r"^im\d+_([01])$", re.IGNORECASE)
_LICENCE = "on request, for research; not to be passed on (the exact terms are unverified)"
_SOURCE = "Donida Labati, Piuri, Scotti: ALL-IDB, ICIP 2011, doi 10.1109/ICIP.2011.6115881"
_OBTAIN = "ask the authors for access: scotti.di.unimi.it/all"


def _read_fields(folder: Path) -> list[Entry]:
    centroids = {path.stem.lower(): path for path in sorted(folder.rglob("*.xyc"))}
    return [
        Entry(picture, label, more={"centroids": _centroids(centroids.get(picture.stem.lower()))})
        for picture, label in _named(folder)
    ]


def _read_cells(folder: Path) -> list[Entry]:
    return [Entry(picture, label) for picture, label in _named(folder)]


def _named(folder: Path) -> Iterator[tuple[Path, str]]:
    for picture in pictures_in(folder):
        name = _NAME.match(picture.stem)
        if name is not None:
            yield picture.relative_to(folder), ALL_CELL.labels[int(name.group(1))]


def _centroids(file: Path | None) -> str:
    """Return a .xyc file's centroids of probable lymphoblasts as `x,y` joined by `;`."""
    if file is None:
        return ""
    lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    points = [line.replace(",", " ").split() for line in lines if line.strip()]
    if any(len(point) < 2 or not all(part.isdigit() for part in point[:2]) for point in points):
        raise PermanentError("public-layout", f"{file} holds a line that is not two whole numbers.")
    return ";".join(f"{x},{y}" for x, y, *_ in points)


ALL_IDB1 = PublicSet(
    DataSet(
        name="all-idb1",
        title="ALL-IDB1: smear fields of patients with and without ALL",
        licence=_LICENCE,
        source=_SOURCE,
        obtain=_OBTAIN,
        traps="108 fields, no patient ids, so no honest split: judge with it. Magnification 300 to "
        "500, unknown for each field. The label is the patient's; .xyc marks blasts only, not all "
        "white cells, and is no ground truth for finding. Never beside all-idb2: its cells are "
        "cut from these fields.",
        view="field",
        cells="none",
        tasks=(ALL_FIELD,),
        group_columns=("group",),
        um_per_px=lambda _: None,
        labels_of=lambda row: {ALL_FIELD.name: row["label"]},
        same_images_as=("all-idb2",),
    ),
    "im/ImXXX_Y.jpg, Y being 1 for ALL, and xyc/ImXXX_Y.xyc",
    _read_fields,
    "pictures",
)

ALL_IDB2 = PublicSet(
    DataSet(
        name="all-idb2",
        title="ALL-IDB2: single cells cut out of ALL-IDB1",
        licence=_LICENCE,
        source=_SOURCE,
        obtain=_OBTAIN,
        traps="260 cells, no patient ids and no names of the fields that they come from: judge "
        "with it. Never beside all-idb1, whose cells these are. Magnification differs from cell "
        "to cell, so the optics are judged by each image's few red cells.",
        view="cell",
        cells="middle",
        tasks=(ALL_CELL,),
        group_columns=("group",),
        um_per_px=lambda _: None,
        labels_of=lambda row: {ALL_CELL.name: row["label"]},
        same_images_as=("all-idb1",),
    ),
    "img/ImXXX_Y.tif, Y being 1 for a lymphoblast",
    _read_cells,
    "pictures",
)
