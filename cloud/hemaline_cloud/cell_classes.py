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


def cell_class(label: str | None) -> CellClass | None:
    """Return a stored label as what it is."""
    assert label is None or label in CELL_CLASSES
    return cast("CellClass | None", label)
