"""Red cells and platelets as a person grades them: ICSH, Int J Lab Hematol 2015;37:287. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field

RedCellFinding: TypeAlias = Literal[
    "anisocytosis",
    "macrocytes",
    "microcytes",
    "hypochromic-cells",
    "polychromasia",
    "acanthocytes",
    "bite-cells",
    "blister-cells",
    "echinocytes",
    "elliptocytes",
    "irregularly-contracted-cells",
    "ovalocytes",
    "schistocytes",
    "sickle-cells",
    "spherocytes",
    "stomatocytes",
    "target-cells",
    "teardrop-cells",
    "basophilic-stippling",
    "howell-jolly-bodies",
    "pappenheimer-bodies",
]
PlateletFinding: TypeAlias = Literal["giant-platelets", "platelet-clumps"]
PlateletEstimate: TypeAlias = Literal["decreased", "normal", "increased"]
Grade: TypeAlias = Annotated[int, Field(ge=0, le=3)]
"""0: none; 1: few; 2: moderate; 3: many."""

RED_CELL_FINDINGS: tuple[str, ...] = get_args(RedCellFinding)
PLATELET_FINDINGS: tuple[str, ...] = get_args(PlateletFinding)

_OVER_20 = "2+: 11 to 20 %; 3+: more than 20 %"
_FROM_5 = "2+: 5 to 20 %; 3+: more than 20 %"
_RARE = "2+: 1 to 2 %; 3+: more than 2 %"
_BODIES = "2+: 2 to 3 %; 3+: more than 3 %"
GRADED_BY: dict[str, str] = {
    **dict.fromkeys(("anisocytosis", "macrocytes", "microcytes", "hypochromic-cells"), _OVER_20),
    **dict.fromkeys(RED_CELL_FINDINGS[4:], _FROM_5),
    **dict.fromkeys(
        ("bite-cells", "blister-cells", "irregularly-contracted-cells", "sickle-cells"), _RARE
    ),
    **dict.fromkeys(("howell-jolly-bodies", "pappenheimer-bodies"), _BODIES),
    "schistocytes": "1+: less than 1 %; 2+: 1 to 2 %; 3+: more than 2 %",
    "giant-platelets": "2+: 11 to 20 % of the platelets; 3+: more than 20 %",
}
"""Finding -> the share of the cells from which ICSH grades it. It knows "few" of schistocytes
alone; for all others, 1+ is less than its 2+."""


class Morphology(BaseModel):
    """What a person says of red cells and platelets; what is missing was not assessed.

    Attributes:
        red_cells: Finding -> its grade.
        platelets: The same of platelets.
        platelet_estimate: How many platelets there are, by eye.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    red_cells: dict[RedCellFinding, Grade] = Field(default_factory=dict)
    platelets: dict[PlateletFinding, Grade] = Field(default_factory=dict)
    platelet_estimate: PlateletEstimate | None = None


NOT_ASSESSED = Morphology()


def found(grades: Mapping[Any, int]) -> list[tuple[str, int]]:
    """Return what was seen at all with its grade, the most of it first."""
    seen = [(name, grade) for name, grade in grades.items() if grade]
    return sorted(seen, key=lambda one: -one[1])
