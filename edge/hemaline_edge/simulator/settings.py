"""What a simulated microscope shows: its camera, its slides, its mishaps."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

CellKind: TypeAlias = Literal[
    "neutrophil-segmented",
    "neutrophil-band",
    "lymphocyte",
    "monocyte",
    "eosinophil",
    "basophil",
    "blast",
    "smudge",
]
CELL_KINDS: tuple[CellKind, ...] = get_args(CellKind)

Defect: TypeAlias = Literal["blurred", "over-exposed", "empty"]


@dataclass(frozen=True, slots=True)
class CellMix:
    """Which leukocytes a slide holds.

    Attributes:
        name: What the demo calls such a slide.
        per_mm2: Leukocytes per square millimetre, up to 1200. Even the normal mix holds more
            than a person's blood, so that a demo's slide reaches a differential in few fields.
        weights: How often each kind occurs, in any unit.
    """

    name: str
    per_mm2: float
    weights: tuple[tuple[CellKind, float], ...]

    def __post_init__(self) -> None:
        if not 0 <= self.per_mm2 <= 1200:
            raise ValueError(f"per_mm2 is {self.per_mm2}; a slide holds 0 to 1200 leukocytes")
        if not self.weights or min(weight for _, weight in self.weights) <= 0:
            raise ValueError(f"mix {self.name!r} needs weights, each above zero")


NORMAL = CellMix(
    "normal",
    210,
    (
        ("neutrophil-segmented", 57),
        ("neutrophil-band", 3),
        ("lymphocyte", 29),
        ("monocyte", 6),
        ("eosinophil", 3),
        ("basophil", 1),
        ("smudge", 1),
    ),
)
LEUKAEMIC = CellMix(
    "leukaemic",
    520,
    (
        ("blast", 62),
        ("lymphocyte", 18),
        ("neutrophil-segmented", 9),
        ("neutrophil-band", 2),
        ("monocyte", 2),
        ("eosinophil", 1),
        ("smudge", 6),
    ),
)
SPARSE = CellMix("sparse", 45, NORMAL.weights)


@dataclass(frozen=True, slots=True)
class SmearSettings:
    """One simulated microscope.

    Attributes:
        seed: Everything follows from it: dust, stains, cells, mishaps.
        width: Pixels across a field, at least 256.
        height: Pixels down a field, at least 256.
        um_per_px: Size of a pixel on the slide, 0.05 to 0.3 µm.
        fields_per_slide: How many fields the stage visits on a slide.
        mixes: Slides take these in turn, by slide number.
        blurred: Share of fields out of focus.
        over_exposed: Share of fields with too much light.
        empty: Share of fields where the stage has left the smear.
    """

    seed: int = 1
    width: int = 1280
    height: int = 960
    um_per_px: float = 0.125
    fields_per_slide: int = 24
    mixes: tuple[CellMix, ...] = (NORMAL, LEUKAEMIC, SPARSE)
    blurred: float = 0.04
    over_exposed: float = 0.02
    empty: float = 0.02

    def __post_init__(self) -> None:
        if self.seed < 0 or self.fields_per_slide < 1 or not self.mixes:
            raise ValueError("seed must not be negative; a slide needs a field and a mix")
        if min(self.width, self.height) < 256:
            raise ValueError(f"a field of {self.width}x{self.height} is under 256 pixels")
        if not 0.05 <= self.um_per_px <= 0.3:
            raise ValueError(f"um_per_px is {self.um_per_px}; cells are drawn at 0.05 to 0.3")
        shares = (self.blurred, self.over_exposed, self.empty)
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"shares of defects must lie in 0..1 together: {shares}")
