"""What people call cells: the classes of a manual differential, and what is no leukocyte."""

from typing import Literal, TypeAlias, cast, get_args

CellClass: TypeAlias = Literal[
    "blast",
    "promonocyte",
    "promyelocyte",
    "myelocyte",
    "metamyelocyte",
    "immature-granulocyte",
    "neutrophil-band",
    "neutrophil-segmented",
    "neutrophil",
    "lymphocyte",
    "lymphocyte-variant",
    "plasma-cell",
    "monocyte",
    "eosinophil",
    "basophil",
    "erythroblast",
    "smudge",
    "platelet",
    "artefact",
]
"""`artefact`: stain, dirt, what is no cell."""

CELL_CLASSES: tuple[str, ...] = get_args(CellClass)


COARSER: dict[str, str] = {
    "neutrophil-band": "neutrophil",
    "neutrophil-segmented": "neutrophil",
    "promyelocyte": "immature-granulocyte",
    "myelocyte": "immature-granulocyte",
    "metamyelocyte": "immature-granulocyte",
}
"""Class -> the one that says the same less exactly."""

MODEL_CALLS: dict[str, str] = {
    **COARSER,
    "lymphocyte-variant": "lymphocyte",
    "promonocyte": "blast",
}
"""Class -> what a model that knows coarse classes alone calls it; people tell more apart."""

CLASS_KEYS: tuple[tuple[str, CellClass], ...] = (
    ("1", "neutrophil-segmented"),
    ("2", "neutrophil-band"),
    ("3", "lymphocyte"),
    ("4", "monocyte"),
    ("5", "eosinophil"),
    ("6", "basophil"),
    ("7", "blast"),
    ("8", "promyelocyte"),
    ("9", "myelocyte"),
    ("0", "metamyelocyte"),
    ("i", "immature-granulocyte"),
    ("o", "promonocyte"),
    ("v", "lymphocyte-variant"),
    ("p", "plasma-cell"),
    ("e", "erythroblast"),
    ("d", "smudge"),
    ("t", "platelet"),
    ("x", "artefact"),
)
"""The key that names a cell so: digits for the classes that are most, as on a counter."""


def cell_class(label: str | None) -> CellClass | None:
    """Return a stored label as what it is."""
    assert label is None or label in CELL_CLASSES
    return cast("CellClass | None", label)
