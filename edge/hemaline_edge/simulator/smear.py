"""Simulated fields of view with labels, each the same whenever it is asked for again."""

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np

from hemaline_edge.simulator.layout import PlacedLeukocyte, Region, SlideMap
from hemaline_edge.simulator.optics import Camera, defocus
from hemaline_edge.simulator.settings import CellKind, Defect, SmearSettings
from hemaline_edge.simulator.stain import Atlas, StainedAtlas
from hemaline_shared.pixels.types import Box, RgbImage

_SLIDES_KEPT = 1  # a stage holds one; each takes some 10 MB of drawn cells
_STAGE_STEP = 0.94  # of a field: neighbours overlap, as an operator's fields do
_VISIBLE_SHARE = 0.1  # of a cell's box must lie in the field for a label


@dataclass(frozen=True, slots=True)
class LabelledCell:
    """A drawn leukocyte; its box is cut at the field's border."""

    kind: CellKind
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class LabelledField:
    """A simulated field, marked as such in its lower left corner.

    It is a cartoon for demos, load tests and CI. What a model or a finder scores on it says
    nothing about real smears, and must not be published as accuracy.
    """

    image: RgbImage
    cells: tuple[LabelledCell, ...]
    defects: tuple[Defect, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Slide:
    smear: SlideMap
    stained: StainedAtlas
    lamp: RgbImage


class SmearSimulator:
    """A microscope whose slides are drawn: same settings and numbers, same picture."""

    def __init__(self, settings: SmearSettings) -> None:
        self._settings = settings
        self._atlas = Atlas(settings.seed, settings.um_per_px)
        self._camera = Camera(settings)
        self._slides: OrderedDict[int, _Slide] = OrderedDict()

    def field(self, slide_number: int, field_number: int) -> LabelledField:
        """Draw one field; the stage visits a slide's fields row by row, there and back.

        Raises:
            ValueError: A number is negative or beyond the slide's fields.
        """
        if slide_number < 0 or not 0 <= field_number < self._settings.fields_per_slide:
            raise ValueError(f"there is no field {field_number} on slide {slide_number}")
        rng = np.random.default_rng([self._settings.seed, slide_number, 3, field_number])
        slide = self._slide(slide_number)
        defect = self._defect(rng)
        light = np.full((self._settings.height, self._settings.width, 3), 255, np.uint8)
        cells: tuple[LabelledCell, ...] = ()
        if defect != "empty":
            left, top = self._stage(slide_number, field_number)
            cells = self._draw(slide, left, top, light)
        sigma_um = rng.uniform(0.55, 0.9) if defect == "blurred" else rng.uniform(0.05, 0.11)
        gain = rng.uniform(1.45, 1.7) if defect == "over-exposed" else rng.uniform(0.97, 1.02)
        light = defocus(light, sigma_um / self._settings.um_per_px)
        image = self._camera.expose(light, slide.lamp, gain, rng)
        return LabelledField(image, cells, () if defect is None else (defect,))

    def _slide(self, number: int) -> _Slide:
        if number not in self._slides:
            settings = self._settings
            rng = np.random.default_rng([settings.seed, number, 4])
            mix = settings.mixes[number % len(settings.mixes)]
            self._slides[number] = _Slide(
                SlideMap(settings.seed, number, mix),
                StainedAtlas(self._atlas, rng),
                self._camera.lamp(rng),
            )
            while len(self._slides) > _SLIDES_KEPT:
                self._slides.popitem(last=False)
        return self._slides[number]

    def _defect(self, rng: np.random.Generator) -> Defect | None:
        settings = self._settings
        chance = rng.random()
        if chance < settings.blurred:
            return "blurred"
        if chance < settings.blurred + settings.over_exposed:
            return "over-exposed"
        if chance < settings.blurred + settings.over_exposed + settings.empty:
            return "empty"
        return None

    def _stage(self, slide_number: int, field_number: int) -> tuple[float, float]:
        """Return where the field's upper left corner lies on the slide, in µm."""
        settings = self._settings
        across = int(np.ceil(np.sqrt(settings.fields_per_slide)))
        row, column = divmod(field_number, across)
        column = across - 1 - column if row % 2 else column
        rng = np.random.default_rng([settings.seed, slide_number, 5, field_number])
        x, y = _STAGE_STEP * np.array([column, row]) + rng.uniform(-0.015, 0.015, 2)
        return float(x * settings.width * settings.um_per_px), float(
            y * settings.height * settings.um_per_px
        )

    def _draw(
        self, slide: _Slide, left: float, top: float, light: RgbImage
    ) -> tuple[LabelledCell, ...]:
        height, width = light.shape[:2]
        scale = self._settings.um_per_px
        region = slide.smear.region(left, top, left + width * scale, top + height * scale)
        self._draw_background(slide, region, left, top, light)
        drawn = (self._draw_leukocyte(slide, cell, left, top, light) for cell in region.leukocytes)
        return tuple(cell for cell in drawn if cell is not None)

    def _draw_background(
        self, slide: _Slide, region: Region, left: float, top: float, light: RgbImage
    ) -> None:
        scale = self._settings.um_per_px
        for x, y, variant, turn in region.red_cells.tolist():
            sprite = slide.stained.red_cell(int(variant), int(turn))
            _lay(sprite, (x - left) / scale, (y - top) / scale, light)
        for x, y, variant, _ in region.platelets.tolist():
            sprite = slide.stained.platelet(int(variant))
            _lay(sprite, (x - left) / scale, (y - top) / scale, light)

    def _draw_leukocyte(
        self, slide: _Slide, cell: PlacedLeukocyte, left: float, top: float, light: RgbImage
    ) -> LabelledCell | None:
        scale = self._settings.um_per_px
        sprite = slide.stained.leukocyte(cell.kind, cell.variant, cell.turn)
        x, y = _lay(sprite.light, (cell.x - left) / scale, (cell.y - top) / scale, light)
        height, width = light.shape[:2]
        box = Box(
            max(0, x + sprite.box.left),
            max(0, y + sprite.box.top),
            min(width, x + sprite.box.right),
            min(height, y + sprite.box.bottom),
        )
        if box.width <= 0 or box.height <= 0:
            return None
        share = box.width * box.height / (sprite.box.width * sprite.box.height)
        return LabelledCell(cell.kind, box) if share >= _VISIBLE_SHARE else None


def _lay(sprite: RgbImage, x: float, y: float, light: RgbImage) -> tuple[int, int]:
    """Darken the light by a sprite whose middle is at x, y; return its corner's place."""
    tall, wide = sprite.shape[:2]
    height, width = light.shape[:2]
    left, top = round(x) - wide // 2, round(y) - tall // 2
    x0, x1 = max(left, 0), min(left + wide, width)
    y0, y1 = max(top, 0), min(top + tall, height)
    if x0 < x1 and y0 < y1:
        under = light[y0:y1, x0:x1]
        over = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
        cv2.multiply(under, over, dst=under, scale=1 / 255)
    return left, top
