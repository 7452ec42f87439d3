"""Where everything lies on a slide: an endless smear, laid out block by block.

A block's content depends on the slide and the block's place alone, so fields that overlap show
the same cells, in whatever order they are drawn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_edge.simulator.background import RED_CELL_RADIUS_UM
from hemaline_edge.simulator.morphology import RADIUS_UM
from hemaline_edge.simulator.settings import CellKind, CellMix
from hemaline_edge.simulator.stain import (
    LEUKOCYTE_VARIANTS,
    PLATELET_VARIANTS,
    RED_CELL_VARIANTS,
    TURNS,
)

BLOCK_UM = 52.0
_SITE_UM = BLOCK_UM / 2
_MARGIN_UM = 26.0  # no cell reaches further than this, pushed aside or not
_FAR_BLOCKS = 10_000  # keeps block numbers positive, as seeds must be


@dataclass(frozen=True, slots=True)
class PlacedLeukocyte:
    """A leukocyte on the slide, its middle in µm."""

    kind: CellKind
    x: float
    y: float
    variant: int
    turn: int


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """What lies in and just around a rectangle of the slide.

    Attributes:
        leukocytes: In a fixed order.
        red_cells: Shape (n, 4): x and y of the middle in µm, variant, turn.
        platelets: Shape (m, 4): the same.
    """

    leukocytes: tuple[PlacedLeukocyte, ...]
    red_cells: NDArray[np.float64]
    platelets: NDArray[np.float64]


class SlideMap:
    """One slide's smear, from a number: ask it what lies in a rectangle."""

    def __init__(self, seed: int, slide: int, mix: CellMix) -> None:
        self._seed = seed
        self._slide = slide
        kinds, weights = zip(*mix.weights, strict=True)
        self._kinds: tuple[CellKind, ...] = kinds
        self._weights = np.array(weights) / sum(weights)
        self._occupied = mix.per_mm2 * _SITE_UM**2 / 1e6
        rng = np.random.default_rng([seed, slide, 1])
        self._pitch_um = rng.uniform(7.9, 9.8)  # how thick the smear is
        self._red_cells_missing = rng.uniform(0.08, 0.22)
        self._platelets_per_block = rng.uniform(0.8, 3.0)

    def region(self, left: float, top: float, right: float, bottom: float) -> Region:
        """Return what lies in a rectangle given in µm, and what may reach into it."""
        first_x, last_x = (
            int(edge // BLOCK_UM) for edge in (left - _MARGIN_UM, right + _MARGIN_UM)
        )
        first_y, last_y = (
            int(edge // BLOCK_UM) for edge in (top - _MARGIN_UM, bottom + _MARGIN_UM)
        )
        blocks = [
            self._block(bx, by)
            for by in range(first_y, last_y + 1)
            for bx in range(first_x, last_x + 1)
        ]
        leukocytes = tuple(cell for block in blocks for cell in block.leukocytes)
        red_cells = np.concatenate([block.red_cells for block in blocks])
        platelets = np.concatenate([block.platelets for block in blocks])
        return Region(
            leukocytes,
            _pushed_aside(red_cells, leukocytes, RED_CELL_RADIUS_UM),
            _pushed_aside(platelets, leukocytes, 1.2),
        )

    def _block(self, bx: int, by: int) -> Region:
        place = [self._seed, self._slide, 2, bx + _FAR_BLOCKS, by + _FAR_BLOCKS]
        rng = np.random.default_rng(place)
        corner = np.array([bx, by]) * BLOCK_UM
        return Region(
            tuple(self._leukocytes(rng, corner)),
            self._red_cells(rng, corner),
            _scatter(rng, corner, rng.poisson(self._platelets_per_block), PLATELET_VARIANTS),
        )

    def _leukocytes(
        self, rng: np.random.Generator, corner: NDArray[np.float64]
    ) -> list[PlacedLeukocyte]:
        """One site in each quarter of the block, so that leukocytes seldom touch."""
        cells = []
        for column, row in ((0, 0), (1, 0), (0, 1), (1, 1)):
            occupied = rng.random() < self._occupied
            kind = self._kinds[int(rng.choice(len(self._kinds), p=self._weights))]
            x, y = corner + (np.array([column, row]) + rng.uniform(0.3, 0.7, 2)) * _SITE_UM
            variant, turn = int(rng.integers(LEUKOCYTE_VARIANTS)), int(rng.integers(TURNS))
            if occupied:
                cells.append(PlacedLeukocyte(kind, float(x), float(y), variant, turn))
        return cells

    def _red_cells(
        self, rng: np.random.Generator, corner: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """A shaken honeycomb with gaps: most cells lie apart, some overlap, as in a monolayer."""
        across = round(BLOCK_UM / self._pitch_um)
        step = BLOCK_UM / across
        column, row = np.meshgrid(np.arange(across), np.arange(across))
        x = (column + 0.5 * (row % 2)).ravel() * step
        y = row.ravel() * step
        shaken = np.column_stack([x, y]) + rng.uniform(-0.42, 0.42, (x.size, 2)) * step
        kept = shaken[rng.random(x.size) > self._red_cells_missing]
        return _with_looks(rng, corner + kept, RED_CELL_VARIANTS)


def _scatter(
    rng: np.random.Generator, corner: NDArray[np.float64], count: int, variants: int
) -> NDArray[np.float64]:
    return _with_looks(rng, corner + rng.uniform(0, BLOCK_UM, (count, 2)), variants)


def _with_looks(
    rng: np.random.Generator, places: NDArray[np.float64], variants: int
) -> NDArray[np.float64]:
    looks = rng.integers((variants, TURNS), size=(len(places), 2))
    return np.hstack([places, looks])


def _pushed_aside(
    rows: NDArray[np.float64], leukocytes: tuple[PlacedLeukocyte, ...], radius: float
) -> NDArray[np.float64]:
    """Move what lies under a leukocyte to its edge; what lies under its middle is left out."""
    for cell in leukocytes:
        away = rows[:, :2] - (cell.x, cell.y)
        distance = np.hypot(away[:, 0], away[:, 1])
        reach = RADIUS_UM[cell.kind] + 0.95 * radius
        moved = (distance < reach) & (distance > 0)
        rows[moved, :2] += away[moved] * (reach / distance[moved] - 1)[:, np.newaxis]
        rows = rows[distance > 0.45 * reach]
    return rows
