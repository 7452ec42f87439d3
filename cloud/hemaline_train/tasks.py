"""What the networks are asked: the labels of each task, and how fine labels merge into coarse."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

View: TypeAlias = Literal["cell", "field"]
"""What a network looks at: one cell's crop, or a whole field."""

MERGED: dict[str, str] = {
    "blast": "blast",
    "promonocyte": "blast",
    "promyelocyte": "immature-granulocyte",
    "myelocyte": "immature-granulocyte",
    "metamyelocyte": "immature-granulocyte",
    "neutrophil-band": "neutrophil",
    "neutrophil-segmented": "neutrophil",
    "lymphocyte": "lymphocyte",
    "lymphocyte-variant": "lymphocyte",
    "monocyte": "monocyte",
    "eosinophil": "eosinophil",
    "basophil": "basophil",
    "erythroblast": "erythroblast",
    "smudge": "smudge",
}
"""Fine label -> merged label; fine labels that morphology hardly tells apart become one."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question with a closed set of answers; a network has one head for each task.

    Attributes:
        labels: In the order of the logits.
    """

    name: str
    view: View
    labels: tuple[str, ...]

    def index(self, label: str) -> int:
        """Return the label's place among the logits, or -1 if this task does not know it."""
        return self.labels.index(label) if label in self.labels else -1


CELL_FINE = Task("cell-fine", "cell", tuple(MERGED))
CELL_CLASS = Task("cell-class", "cell", tuple(dict.fromkeys(MERGED.values())))
ALL_SUBTYPE = Task("all-subtype", "field", ("benign", "early-pre-b", "pre-b", "pro-b"))
APL = Task("apl", "cell", ("AML-nonAPL", "APL"))
"""Asked of immature cells only, and answered per patient as the mean over them."""

ALL_CELL = Task("all-cell", "cell", ("healthy", "ALL"))
"""Is this cell a lymphoblast of acute lymphoblastic leukaemia? Public sets ask it so."""
ALL_FIELD = Task("all-field", "field", ("healthy", "ALL"))
"""Does this field come from a patient with acute lymphoblastic leukaemia?"""

TASKS: dict[str, Task] = {
    task.name: task for task in (CELL_FINE, CELL_CLASS, ALL_SUBTYPE, APL, ALL_CELL, ALL_FIELD)
}
