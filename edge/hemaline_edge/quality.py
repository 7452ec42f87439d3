"""The quality gate: says at once whether a frame is worth a haematologist's time."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hemaline_edge.focus import SharpestSeen, measure_blur
from hemaline_shared.messages import QualityReport
from hemaline_shared.pixels.scale import RED_CELL_UM, estimate_scale
from hemaline_shared.pixels.stain import STAINED, optical_density
from hemaline_shared.pixels.types import RgbImage

_SMALL_PX = 160
_VIEW = (64, 48)
_BURNT_OUT = 253
_NOT_LIT = 20
_MOST_VIEWS = 500
"""Of a slide, 12 KB each."""


class QualityLimits(BaseModel):
    """Where the gate says no. The defaults pass the fields of seven laboratories' optics."""

    model_config = ConfigDict(extra="forbid")

    blur: float = Field(default=3.1, ge=0, le=50)
    """`out-of-focus` with more blur than this on top of the optics' own, in percent of a red
    cell's diameter. Lower is stricter; see `hemaline_edge.focus`."""
    darkest_light: float = Field(default=90.0, ge=0, le=255)
    """`too-dark` when the brightest hundredth of the pixels is below."""
    not_lit: float = Field(default=0.3, ge=0, le=1)
    """`too-dark` too when a larger share of the pixels is black."""
    burnt_out: float = Field(default=0.35, ge=0, le=1)
    """`too-bright` when a larger share of the pixels is white …"""
    palest_cells: float = Field(default=110.0, ge=0, le=255)
    """… and the darkest hundredth is paler: white glass behind good cells is no fault."""
    colour: float = Field(default=20.0, ge=0, le=255)
    """`no-stain` when the most colourful hundredth has less difference between its channels."""
    density: float = Field(default=0.2, ge=0)
    """`no-stain` when the densest hundredth absorbs less than this."""
    fewest_covered: float = Field(default=0.03, ge=0, le=1)
    """`no-cells` when less of the field is covered: glass, not smear."""
    most_covered: float = Field(default=0.95, ge=0, le=1)
    """`too-thick` when more of the field is covered."""
    same_view: float = Field(default=0.5, ge=0)
    """`near-duplicate` when the field differs less, in grey levels, from one of the slide."""


@dataclass(frozen=True, slots=True)
class _Light:
    """What a small copy tells of light and stain; see `QualityLimits` for the meanings."""

    brightest: float
    darkest: float
    burnt_out: float
    not_lit: float
    colour: float
    density: float
    covered: float


class QualityGate:
    """Judges frames one by one; remembers a slide's good views, and how sharp fields are."""

    def __init__(self, limits: QualityLimits) -> None:
        self._limits = limits
        self._slide: object = None
        self._views: deque[NDArray[np.float32]] = deque(maxlen=_MOST_VIEWS)
        self._sharpest = SharpestSeen()

    def limit(self, limits: QualityLimits) -> None:
        """Judge by other limits from the next frame on; any thread may ask."""
        self._limits = limits

    def judge(
        self, image: RgbImage, slide: object, um_per_px: float | None = None
    ) -> QualityReport:
        """Measure a frame and say what is wrong with it.

        A field without a single white cell is not wrong: it is a result.

        Args:
            image: Shape (height, width, 3).
            slide: What tells this slide from the next one.
            um_per_px: The scale: how much blur is too much goes by the cells' size. None: what the
                field's own red cells tell.
        """
        if um_per_px is None:
            um_per_px = estimate_scale(image).um_per_px
        red_cell_px = RED_CELL_UM / um_per_px
        light, blur = _light(image), measure_blur(image, red_cell_px)
        view = _view(image)
        moved = self._moved(view, slide)
        most_blur = self._sharpest.limit(image, red_cell_px, self._limits.blur)
        reasons = self._reasons(light, moved, too_blurred=blur > most_blur)
        if not set(reasons) - {"out-of-focus"}:
            self._sharpest.remember(image, blur)
        if not reasons:
            self._remember(slide, view)
        measures = {
            "blur": blur,
            "most-blur": most_blur,
            "brightest": light.brightest,
            "darkest": light.darkest,
            "burnt-out": light.burnt_out,
            "not-lit": light.not_lit,
            "colour": light.colour,
            "density": light.density,
            "covered": light.covered,
        }
        if moved is not None:
            measures["moved"] = moved
        return QualityReport(
            measures={name: round(value, 4) for name, value in measures.items()}, reasons=reasons
        )

    def _moved(self, view: NDArray[np.float32], slide: object) -> float | None:
        """Return how much the view differs from the most alike good one of this slide, if any."""
        if not self._views or self._slide != slide:
            return None
        return float(np.abs(np.stack(self._views) - view).mean(axis=(1, 2)).min())

    def _remember(self, slide: object, view: NDArray[np.float32]) -> None:
        if slide != self._slide:
            self._slide = slide
            self._views.clear()
        self._views.append(view)

    def _reasons(self, light: _Light, moved: float | None, *, too_blurred: bool) -> tuple[str, ...]:
        limits = self._limits
        dark = light.brightest < limits.darkest_light or light.not_lit > limits.not_lit
        bright = light.burnt_out > limits.burnt_out and light.darkest > limits.palest_cells
        unstained = light.colour < limits.colour or light.density < limits.density
        found = {
            "too-dark": dark,
            "too-bright": bright,
            "no-cells": light.covered < limits.fewest_covered,
            "no-stain": unstained,
            "too-thick": light.covered > limits.most_covered,
            "out-of-focus": too_blurred,
            "near-duplicate": moved is not None and moved < limits.same_view,
        }
        return tuple(reason for reason, wrong in found.items() if wrong)


def _light(image: RgbImage) -> _Light:
    shrink = max(1.0, max(image.shape[:2]) / _SMALL_PX)
    size = (max(8, round(image.shape[1] / shrink)), max(8, round(image.shape[0] / shrink)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    red, green, blue = cv2.split(small)
    lightest = cv2.max(cv2.max(red, green), blue)
    deepest = cv2.min(cv2.min(red, green), blue)
    darkest, brightest = np.percentile(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (1, 99))
    density = cv2.transform(optical_density(small), np.ones((1, 3), np.float32))
    return _Light(
        brightest=float(brightest),
        darkest=float(darkest),
        burnt_out=_share(deepest >= _BURNT_OUT),
        not_lit=_share(lightest <= _NOT_LIT),
        colour=float(np.percentile(cv2.subtract(lightest, deepest), 99)),
        density=float(np.percentile(density, 99)),
        covered=_share(density > STAINED),
    )


def _share(mask: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(mask)) / mask.size


def _view(image: RgbImage) -> NDArray[np.float32]:
    small = cv2.resize(image, _VIEW, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
