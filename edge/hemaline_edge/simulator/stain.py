"""A slide's stain: drawings become what light passes through, by Beer and Lambert."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_edge.simulator.background import draw_platelet, draw_red_cell
from hemaline_edge.simulator.morphology import draw_leukocyte
from hemaline_edge.simulator.settings import CELL_KINDS, CellKind
from hemaline_shared.pixels.types import Box, RgbImage

LEUKOCYTE_VARIANTS = 10
RED_CELL_VARIANTS = 40
PLATELET_VARIANTS = 12
TURNS = 8

# Optical density of one unit of stain in red, green and blue, by eye from Romanowsky smears.
_AZURE = (1.08, 1.75, 0.62)
_BLUE = (0.62, 0.44, 0.10)
_EOSIN = (0.10, 0.46, 0.58)
_HAEMOGLOBIN = (0.18, 0.38, 0.33)


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A stained cell: what share of the light passes, 255 for all of it.

    Attributes:
        light: Shape (height, width, 3).
        box: The cell itself inside the sprite.
    """

    light: RgbImage
    box: Box


class Atlas:
    """Drawings of one simulated microscope, unstained; leukocytes are drawn when first wanted.

    Attributes:
        red_cells: Each of shape (side, side, 1).
        platelets: Each of shape (side, side, 3).
    """

    def __init__(self, seed: int, um_per_px: float) -> None:
        self._seed = seed
        self._um_per_px = um_per_px
        self._leukocytes: dict[tuple[CellKind, int], tuple[NDArray[np.float16], Box]] = {}
        self.red_cells = [
            draw_red_cell(np.random.default_rng([seed, 101, number]), um_per_px)
            for number in range(RED_CELL_VARIANTS)
        ]
        self.platelets = [
            draw_platelet(np.random.default_rng([seed, 102, number]), um_per_px)
            for number in range(PLATELET_VARIANTS)
        ]

    def leukocyte(self, kind: CellKind, variant: int) -> tuple[NDArray[np.float16], Box]:
        """Return a leukocyte's stains, shape (side, side, 3), and its box in them."""
        key = (kind, variant)
        if key not in self._leukocytes:
            rng = np.random.default_rng([self._seed, CELL_KINDS.index(kind), variant])
            drawing = draw_leukocyte(kind, rng, self._um_per_px)
            self._leukocytes[key] = (drawing.stain, _tight_box(drawing.outline))
        return self._leukocytes[key]


class StainedAtlas:
    """An atlas in the colours of one slide; every slide is stained a little differently."""

    def __init__(self, atlas: Atlas, rng: np.random.Generator) -> None:
        self._atlas = atlas
        strength = rng.uniform(0.85, 1.15, 3)[:, np.newaxis] * rng.uniform(0.9, 1.1)
        hue = rng.uniform(0.9, 1.1, (3, 3))
        self._stains = (np.array([_AZURE, _BLUE, _EOSIN]) * strength * hue).astype(np.float32)
        haemoglobin = np.array([_HAEMOGLOBIN]) * rng.uniform(0.8, 1.2) * rng.uniform(0.88, 1.12, 3)
        self._red_cells = [
            _turns(_light(drawing, haemoglobin.astype(np.float32))) for drawing in atlas.red_cells
        ]
        self._platelets = [_light(drawing, self._stains) for drawing in atlas.platelets]
        self._leukocytes: dict[tuple[CellKind, int], RgbImage] = {}

    def leukocyte(self, kind: CellKind, variant: int, turn: int) -> Sprite:
        """Return a leukocyte in one of `TURNS` orientations."""
        drawing, box = self._atlas.leukocyte(kind, variant)
        key = (kind, variant)
        if key not in self._leukocytes:
            self._leukocytes[key] = _light(drawing, self._stains)
        light = self._leukocytes[key]
        return Sprite(_turn(light, turn), _turn_box(box, light.shape[0], turn))

    def red_cell(self, variant: int, turn: int) -> RgbImage:
        """Return a red cell's light in one of `TURNS` orientations."""
        return self._red_cells[variant][turn]

    def platelet(self, variant: int) -> RgbImage:
        """Return a platelet's light."""
        return self._platelets[variant]


def _light(drawing: NDArray[np.float16], stains: NDArray[np.float32]) -> RgbImage:
    density = drawing.astype(np.float32) @ stains
    return np.asarray(np.rint(255 * np.exp(-density)), np.uint8)


def _turns(light: RgbImage) -> list[RgbImage]:
    return [_turn(light, turn) for turn in range(TURNS)]


def _turn(light: RgbImage, turn: int) -> RgbImage:
    """Mirror for turns from 4 on, then rotate by quarters against the clock."""
    mirrored = light[:, ::-1] if turn >= 4 else light
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4))


def _turn_box(box: Box, side: int, turn: int) -> Box:
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    if turn >= 4:
        left, right = side - right, side - left
    for _ in range(turn % 4):
        left, top, right, bottom = top, side - right, bottom, side - left
    return Box(left, top, right, bottom)


def _tight_box(mask: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
