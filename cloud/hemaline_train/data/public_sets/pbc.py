"""PBC of the Hospital Clínic de Barcelona, and BloodMNIST, which is made of it."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.data.data_set import DataSet, Row
from hemaline_train.data.public_sets.layout import Entry, PublicSet, of_classes
from hemaline_train.data.tasks import CELL_CLASS, CELL_FINE

_UM_PER_PX = 0.096
"""Measured by the red cells of the PBC frames in txl-pbc."""

_SOURCE = "Acevedo et al., Data in Brief 2020;30:105474"
_CLASSES: Mapping[str, str] = {
    "basophil": "basophil",
    "eosinophil": "eosinophil",
    "erythroblast": "erythroblast",
    "ig": "immature-granulocyte",
    "lymphocyte": "lymphocyte",
    "monocyte": "monocyte",
    "neutrophil": "neutrophil",
}
"""The folder `platelet` is left out: platelets are no leukocytes."""

_FINE: Mapping[str, str] = {
    "PMY": "promyelocyte",
    "MY": "myelocyte",
    "MMY": "metamyelocyte",
    "BNE": "neutrophil-band",
    "SNE": "neutrophil-segmented",
    "BA": "basophil",
    "EO": "eosinophil",
    "ERB": "erythroblast",
    "LY": "lymphocyte",
    "MO": "monocyte",
}
"""What a file's name begins with; IG and NEUTROPHIL do not say more than their folder."""


def _read_pbc(folder: Path) -> list[Entry]:
    return [
        Entry(picture, label, more={"fine": _FINE.get(picture.name.split("_")[0].upper(), "")})
        for picture, label in of_classes(folder, _CLASSES)
    ]


def _pbc_labels(row: Row) -> dict[str, str]:
    fine = {CELL_FINE.name: row["fine"]} if row["fine"] else {}
    return {**fine, CELL_CLASS.name: row["label"]}


_MNIST_LABELS = (*_CLASSES.values(), None)
"""In the order of the labels 0 to 7; 7 are platelets."""
_MNIST_SEEN_PX = 200
"""BloodMNIST keeps the middle 200 of PBC's 360 pixels and shrinks them."""


def _read_mnist(folder: Path) -> list[Entry]:
    """Unpack the largest bloodmnist*.npz of a folder into images beside it."""
    archives = {_archive_side(path): path for path in sorted(folder.rglob("bloodmnist*.npz"))}
    if not archives:
        return []
    try:
        with np.load(archives[max(archives)], allow_pickle=False) as arrays:
            return [
                entry
                for part in ("train", "val", "test")
                for entry in _unpack(arrays, part, folder)
            ]
    except (OSError, ValueError, KeyError) as error:
        raise PermanentError(
            "public-layout", f"{archives[max(archives)]} is not BloodMNIST: {error}."
        ) from error


def _archive_side(path: Path) -> int:
    tail = path.stem.rpartition("_")[2]
    return int(tail) if tail.isdigit() else 28


def _unpack(arrays: Mapping[str, NDArray[np.uint8]], part: str, folder: Path) -> list[Entry]:
    images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"].ravel()
    target = folder / "images" / part
    target.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (image, place) in enumerate(zip(images, labels.tolist(), strict=True)):
        label = _MNIST_LABELS[place]
        if label is None:
            continue
        file = target / f"{number:05d}.png"
        if not cv2.imwrite(str(file), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
            raise OSError(f"cannot write {file}")
        scale = f"{_UM_PER_PX * _MNIST_SEEN_PX / image.shape[0]:.4f}"
        entries.append(
            Entry(file.relative_to(folder), label, split=part, more={"um_per_px": scale})
        )
    return entries


PBC = PublicSet(
    DataSet(
        name="pbc",
        title="PBC: normal peripheral blood cells, Hospital Clínic de Barcelona",
        licence="CC BY 4.0",
        source=_SOURCE,
        obtain="Mendeley Data snkd93bnjr (PBC_dataset_normal_DIB.zip)",
        traps="Donors are not published: judge with it. Healthy donors only, so no blasts. One "
        "analyser (CellaVision DM96) and stain. Never beside bloodmnist (the same images) or "
        "txl-pbc (some of them).",
        view="cell",
        cells="middle",
        tasks=(CELL_FINE, CELL_CLASS),
        group_columns=("group",),
        um_per_px=lambda _: _UM_PER_PX,
        labels_of=_pbc_labels,
        further_columns=("fine",),
        same_images_as=("bloodmnist", "txl-pbc", "pbc-acevedo"),
    ),
    "folders basophil, eosinophil, erythroblast, ig … of JPEG images such as SNE_1234.jpg",
    _read_pbc,
    "pictures",
)

BLOOD_MNIST = PublicSet(
    DataSet(
        name="bloodmnist",
        title="BloodMNIST: PBC shrunk to 28, 64, 128 or 224 pixels",
        licence="CC BY 4.0",
        source=f"Yang et al., Scientific Data 2023;10:41, out of {_SOURCE}",
        obtain="zenodo.org/records/10519652 (bloodmnist_224.npz rather than bloodmnist.npz)",
        traps="The published split is random over images: donors are unknown and on both sides, so "
        "figures flatter. At 28 pixels a cell is a blur of 0.7 µm pixels. Only the middle 19 µm "
        "are kept, a crop's rim is filled in. Never beside pbc or txl-pbc, the same images.",
        view="cell",
        cells="middle",
        tasks=(CELL_CLASS,),
        group_columns=("group",),
        um_per_px=lambda row: float(row["um_per_px"]),
        labels_of=lambda row: {CELL_CLASS.name: row["label"]},
        further_columns=("um_per_px",),
        same_images_as=("pbc", "txl-pbc", "pbc-acevedo"),
    ),
    "bloodmnist.npz or bloodmnist_224.npz",
    _read_mnist,
    "pictures",
)
