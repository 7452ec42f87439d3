"""What the networks are asked: the labels of each task, and how fine labels merge into coarse."""

from dataclasses import dataclass

from hemaline_shared.model_manifest import View

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

UNMERGED = ("plasma-cell", "platelet")
"""Fine labels that no merged label has room for: what is called so is no leukocyte of the count, or
too rare in every set to judge."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question with a closed set of answers; a network has one head for each task.

    Attributes:
        labels: In the order of the logits.
        asked_of_immature_cells: The question makes no sense for other cells.
    """

    name: str
    view: View
    labels: tuple[str, ...]
    asked_of_immature_cells: bool = False

    def index(self, label: str) -> int:
        """Return the label's place among the logits, or -1 if this task does not know it."""
        return self.labels.index(label) if label in self.labels else -1


CELL_FINE = Task("cell-fine", "cell", (*MERGED, *UNMERGED))
CELL_CLASS = Task("cell-class", "cell", tuple(dict.fromkeys(MERGED.values())))
ALL_SUBTYPE = Task("all-subtype", "field", ("benign", "early-pre-b", "pre-b", "pro-b"))
APL = Task("apl", "cell", ("AML-nonAPL", "APL"), asked_of_immature_cells=True)
"""Answered per patient as the mean over the patient's immature cells."""

IMMATURE_CLASSES = ("blast", "immature-granulocyte")
"""The merged labels that `APL` is asked of."""

ALL_CELL = Task("all-cell", "cell", ("healthy", "ALL"))
"""Is this cell a lymphoblast of acute lymphoblastic leukaemia? Public sets ask it so."""
ALL_FIELD = Task("all-field", "field", ("healthy", "ALL"))
"""Does this field come from a patient with acute lymphoblastic leukaemia?"""

LEUKAEMIA = Task("leukaemia", "field", ("healthy", "ALL", "AML", "CLL", "CML"))
"""What a folder of these five classes trains. No data set of the catalogue answers it: there are no
images of CLL and CML, and the others' laboratories would give their labels away."""

TASKS: dict[str, Task] = {
    task.name: task for task in (CELL_FINE, CELL_CLASS, ALL_SUBTYPE, APL, ALL_CELL, ALL_FIELD)
}
