"""AML-Cytomorphology_LMU: single white cells of 100 patients with AML and 100 without, Munich."""

from collections.abc import Mapping
from pathlib import Path

from hemaline_train.data.data_set import DataSet, Row
from hemaline_train.data.public_sets.layout import Entry, PublicSet, of_classes
from hemaline_train.data.tasks import CELL_CLASS, CELL_FINE, MERGED

_CODES: Mapping[str, str] = {
    "bas": "basophil",
    "ebo": "erythroblast",
    "eos": "eosinophil",
    "ksc": "smudge",
    "lya": "lymphocyte-variant",
    "lyt": "lymphocyte",
    "mmz": "metamyelocyte",
    "mob": "blast",  # monoblast
    "mon": "monocyte",
    "myb": "myelocyte",
    "myo": "blast",  # myeloblast
    "ngb": "neutrophil-band",
    "ngs": "neutrophil-segmented",
    "pmb": "promyelocyte",  # bilobed
    "pmo": "promyelocyte",
}
_TABLE = "annotations.dat"


def _read(folder: Path) -> list[Entry]:
    again = _readings(folder)
    return [
        Entry(
            picture,
            label,
            more={
                "code": picture.parent.name.upper(),
                "again": again.get(f"{picture.parent.name}/{picture.name}".upper(), ""),
                "um_per_px": "",
            },
        )
        for picture, label in of_classes(folder, _CODES)
    ]


def _readings(folder: Path) -> dict[str, str]:
    """Return `CODE/FILE` -> the codes that two later readings gave, `nan` where they gave none."""
    tables = sorted(folder.rglob(_TABLE))
    lines = tables[0].read_text(encoding="utf-8").splitlines() if tables else []
    parts = [line.split() for line in lines]
    return {part[0].upper(): ",".join(part[2:4]) for part in parts if len(part) >= 2}


def _labels(row: Row) -> dict[str, str]:
    label = row["label"]
    return {CELL_FINE.name: label, CELL_CLASS.name: MERGED.get(label, label)}


AML_LMU = PublicSet(
    DataSet(
        name="aml-lmu",
        title="AML-Cytomorphology_LMU: single white cells, Munich University Hospital",
        licence="CC BY 3.0",
        source="Matek et al., Nature Machine Intelligence 2019;1:538-544, "
        "doi 10.7937/tcia.2019.36f5o9ld",
        obtain="cancerimagingarchive.net, collection AML-Cytomorphology_LMU (11 GB)",
        traps="Patient ids are not published: any split has cells of one patient on both sides, "
        "so judge with it. 18,365 cells, 400x400 at 100x oil; half are segmented "
        "neutrophils or myeloblasts, some classes have fewer than 30. Which cells are of patients "
        "without leukaemia is not said. Monoblasts and myeloblasts are both `blast` here; a share "
        "of the cells was read again (column `again`), and readers disagree.",
        view="cell",
        cells="middle",
        tasks=(CELL_FINE, CELL_CLASS),
        group_columns=("group",),
        um_per_px=lambda row: float(row["um_per_px"]) if row["um_per_px"] else None,
        labels_of=_labels,
        further_columns=("um_per_px",),
        same_images_as=("lmu-aml",),
    ),
    "folders BAS, EBO, EOS … PMO of TIFF images, and annotations.dat",
    _read,
    "pictures",
    "measured",
)
