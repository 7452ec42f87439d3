"""Cartoon leukocytes: each kind drawn as how much of each stain lies where.

The features are those that a haematologist names first (lobes, granules, chromatin, the rim of
cytoplasm). They are a cartoon: no figure about a model's accuracy can rest on them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_edge.simulator.settings import CellKind
from hemaline_edge.simulator.shapes import (
    Plane,
    Sheet,
    blank_sheet,
    ellipse,
    grain,
    ribbon,
    soft,
    speckle,
    union,
    wobble,
)

AZURE, BLUE, EOSIN = range(3)
"""Channels of a drawing: what stains nuclei, basophilic cytoplasm, and granules and haemoglobin."""

RADIUS_UM: dict[CellKind, float] = {
    "neutrophil-segmented": 6.4,
    "neutrophil-band": 6.6,
    "lymphocyte": 5.0,
    "monocyte": 8.3,
    "eosinophil": 6.9,
    "basophil": 6.3,
    "blast": 7.8,
    "smudge": 7.6,
}


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One cell.

    Attributes:
        stain: Shape (side, side, 3): density of azure, blue and eosin.
        outline: Shape (side, side): True where the cell is.
    """

    stain: NDArray[np.float16]
    outline: NDArray[np.bool_]


def draw_leukocyte(kind: CellKind, rng: np.random.Generator, um_per_px: float) -> Drawing:
    """Draw one cell of a kind; no two draws from one generator are alike."""
    radius = RADIUS_UM[kind] * rng.uniform(0.93, 1.08)
    sheet = blank_sheet(2 * radius + 4, um_per_px)
    cell = _body(rng, sheet, radius, 0.9 if kind == "smudge" else 0.35)
    stain = np.zeros((*sheet.x.shape, 3), np.float32)
    _PAINTERS[kind](rng, sheet, cell, radius, stain)
    mask = soft(cell, 0.3)
    return Drawing(stain.astype(np.float16), mask > 0.5)


def _body(rng: np.random.Generator, sheet: Sheet, radius: float, bend_um: float) -> Plane:
    squash = rng.uniform(0.9, 1.0)
    return ellipse(wobble(rng, sheet, 7.0, bend_um), (0, 0), (radius, radius * squash))


def _cytoplasm(
    rng: np.random.Generator,
    sheet: Sheet,
    cell: Plane,
    stain: NDArray[np.float32],
    blue: float,
    eosin: float,
) -> Plane:
    """Fill the cell with cytoplasm, a little denser at its membrane; return its mask."""
    mask = soft(cell, 0.35)
    cloud = 1 + 0.12 * grain(rng, sheet, 1.2)
    membrane = 1 + 0.35 * np.exp(-((cell / 0.35) ** 2))
    stain[..., BLUE] += blue * mask * cloud * membrane
    stain[..., EOSIN] += eosin * mask * cloud
    return mask


def _nucleus(
    rng: np.random.Generator,
    sheet: Sheet,
    shape: Plane,
    stain: NDArray[np.float32],
    density: float,
    clump_um: float,
    contrast: float,
) -> None:
    """Fill a nucleus with chromatin: clumps of a size and contrast, denser at its membrane."""
    mask = soft(shape, 0.3)
    clumps = np.tanh(1.2 * grain(rng, sheet, clump_um)) + 0.3 * grain(rng, sheet, clump_um / 2.5)
    membrane = 0.18 * np.exp(-(((shape + 0.3) / 0.35) ** 2))
    stain[..., AZURE] += mask * density * (1 + contrast * clumps + membrane)
    stain[..., EOSIN] *= 1 - 0.8 * mask
    stain[..., BLUE] *= 1 - 0.6 * mask


def _granules(rng: np.random.Generator, sheet: Sheet, size_um: float, share: float) -> Plane:
    """Return soft round grains that cover about `share` of the sheet."""
    dots = speckle(rng, sheet, size_um)
    level = np.quantile(dots, 1 - share)
    return np.asarray(np.clip((dots - level) * 1.4, 0, 1), np.float32)


def _paint_segmented(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    mask = _cytoplasm(rng, sheet, cell, stain, 0.05, 0.17)
    _neutral_granules(rng, sheet, mask, stain)
    lobes = int(rng.integers(3, 5))
    sweep = rng.uniform(3.4, 4.6)
    angles = np.linspace(0, sweep, lobes) + rng.uniform(-0.15, 0.15, lobes)
    ring = radius * rng.uniform(0.42, 0.48)
    centres = ring * np.column_stack([np.cos(angles), np.sin(angles)])
    bent = wobble(rng, sheet, 2.5, 0.3)
    nucleus = ribbon(bent, centres, 0.35)
    for centre, angle in zip(centres.tolist(), angles.tolist(), strict=True):
        long, short = radius * rng.uniform(0.31, 0.38), radius * rng.uniform(0.24, 0.3)
        lobe = _turned_ellipse(bent, (centre[0], centre[1]), (short, long), angle)
        nucleus = union(nucleus, lobe, 0.5)
    _nucleus(rng, sheet, nucleus, stain, 0.92, 1.0, 0.2)


def _paint_band(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    mask = _cytoplasm(rng, sheet, cell, stain, 0.06, 0.17)
    _neutral_granules(rng, sheet, mask, stain)
    angles = np.linspace(0, rng.uniform(3.3, 4.2), 9)
    ring = radius * 0.47
    points = ring * np.column_stack([np.cos(angles), np.sin(angles)])
    nucleus = ribbon(wobble(rng, sheet, 3.0, 0.3), points, radius * 0.23)
    _nucleus(rng, sheet, nucleus, stain, 0.88, 1.0, 0.2)


def _paint_lymphocyte(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    _cytoplasm(rng, sheet, cell, stain, 0.42, 0.0)
    size = radius * rng.uniform(0.78, 0.86)
    off = rng.uniform(0.1, 0.16) * radius
    nucleus = ellipse(wobble(rng, sheet, 4.0, 0.2), (off, 0), (size, size * rng.uniform(0.9, 1)))
    _nucleus(rng, sheet, nucleus, stain, 0.95, 1.3, 0.22)


def _paint_monocyte(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    mask = _cytoplasm(rng, sheet, cell, stain, 0.36, 0.09)
    dusting = _granules(rng, sheet, 0.45, 0.25)
    stain[..., AZURE] += 0.06 * dusting * mask
    bent = wobble(rng, sheet, 4.0, 0.4)
    angles = np.linspace(-1.25, 1.25, 7) + np.pi
    points = radius * 0.4 * np.column_stack([np.cos(angles), np.sin(angles)])
    nucleus = ribbon(bent, points, radius * rng.uniform(0.34, 0.38))
    _nucleus(rng, sheet, nucleus, stain, 0.72, 1.0, 0.24)
    for _ in range(int(rng.integers(0, 4))):  # vacuoles
        angle, reach = rng.uniform(-0.9, 0.9), radius * rng.uniform(0.45, 0.75)
        hole = ellipse(sheet, (reach * np.cos(angle), reach * np.sin(angle)), (0.45, 0.45))
        stain *= 1 - 0.8 * soft(hole, 0.3)[..., np.newaxis]


def _paint_eosinophil(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    mask = _cytoplasm(rng, sheet, cell, stain, 0.03, 0.5)
    grains = _granules(rng, sheet, 0.8, 0.42)
    stain[..., EOSIN] += 0.85 * grains * soft(cell + 0.25, 0.4)
    stain[..., AZURE] += 0.05 * grains * mask
    bent = wobble(rng, sheet, 3.0, 0.3)
    gap = radius * rng.uniform(0.36, 0.42)
    lift = radius * 0.22
    nucleus = ribbon(bent, np.array([[-lift, -gap], [-lift * 1.6, 0], [-lift, gap]]), 0.4)
    for side in (-1, 1):
        radii = (radius * rng.uniform(0.36, 0.42), radius * rng.uniform(0.3, 0.35))
        nucleus = union(nucleus, ellipse(bent, (-lift, side * gap), radii), 0.4)
    _nucleus(rng, sheet, nucleus, stain, 0.88, 1.0, 0.2)


def _paint_basophil(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    mask = _cytoplasm(rng, sheet, cell, stain, 0.25, 0.25)
    bent = wobble(rng, sheet, 3.0, 0.5)
    points = radius * np.array([[-0.3, -0.35], [0.1, -0.15], [-0.1, 0.2], [0.3, 0.35]])
    _nucleus(rng, sheet, ribbon(bent, points, radius * 0.3), stain, 0.6, 1.2, 0.1)
    grains = _granules(rng, sheet, 1.15, 0.36)
    stain[..., AZURE] += (0.12 + 0.9 * grains) * mask
    stain[..., EOSIN] += 0.15 * grains * mask


def _paint_blast(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    _cytoplasm(rng, sheet, cell, stain, 0.85, 0.02)
    size = radius * rng.uniform(0.8, 0.87)
    off = rng.uniform(0.04, 0.1) * radius
    bent = wobble(rng, sheet, 5.0, 0.35)
    nucleus = ellipse(bent, (off, 0), (size, size * rng.uniform(0.88, 1)))
    _nucleus(rng, sheet, nucleus, stain, 0.72, 0.55, 0.13)
    for _ in range(int(rng.integers(1, 4))):  # nucleoli: pale, with a denser rim of chromatin
        angle, reach = rng.uniform(0, 2 * np.pi), size * rng.uniform(0.1, 0.6)
        radii = (rng.uniform(0.8, 1.2), rng.uniform(0.7, 1.0))
        spot = ellipse(bent, (off + reach * np.cos(angle), reach * np.sin(angle)), radii)
        stain[..., AZURE] *= 1 - 0.42 * soft(spot, 0.5) + 0.14 * np.exp(-((spot / 0.3) ** 2))
        stain[..., BLUE] += 0.25 * soft(spot, 0.5)


def _paint_smudge(
    rng: np.random.Generator, sheet: Sheet, cell: Plane, radius: float, stain: NDArray[np.float32]
) -> None:
    frayed = wobble(rng, sheet, 2.0, 0.7)
    spread = ellipse(frayed, (0, 0), (radius * 0.92, radius * 0.82))
    streaks = np.clip(0.75 + 0.35 * grain(rng, sheet, 2.2) + 0.2 * grain(rng, sheet, 0.7), 0.1, 2)
    fading = soft(spread, 2.6)
    stain[..., AZURE] += 0.72 * fading * streaks * soft(cell, 0.6)
    stain[..., EOSIN] += 0.08 * fading


def _neutral_granules(
    rng: np.random.Generator, sheet: Sheet, mask: Plane, stain: NDArray[np.float32]
) -> None:
    dusting = _granules(rng, sheet, 0.45, 0.4)
    stain[..., AZURE] += 0.09 * dusting * mask
    stain[..., EOSIN] += 0.14 * dusting * mask


def _turned_ellipse(
    sheet: Sheet, centre: tuple[float, float], radii: tuple[float, float], angle: float
) -> Plane:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x, y = sheet.x - np.float32(centre[0]), sheet.y - np.float32(centre[1])
    turned = Sheet(x * cos + y * sin, y * cos - x * sin, sheet.um_per_px)
    return ellipse(turned, (0, 0), radii)


Painter = Callable[[np.random.Generator, Sheet, Plane, float, NDArray[np.float32]], None]
_PAINTERS: dict[CellKind, Painter] = {
    "neutrophil-segmented": _paint_segmented,
    "neutrophil-band": _paint_band,
    "lymphocyte": _paint_lymphocyte,
    "monocyte": _paint_monocyte,
    "eosinophil": _paint_eosinophil,
    "basophil": _paint_basophil,
    "blast": _paint_blast,
    "smudge": _paint_smudge,
}
