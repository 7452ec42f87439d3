"""Training scenes: fields turned, restained, blurred, cut, put together, with cells pasted in."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.leukocytes.pieces import WORKING_UM_PER_PX
from hemaline_shared.pixels.leukocytes.view import CHANNELS, stain_view
from hemaline_shared.pixels.stain import FloatImage
from hemaline_train.detector.config import DetectorConfig
from hemaline_train.detector.fields import FINE_UM_PER_PX, WHITE, LearnedField
from hemaline_train.detector.restain import restain, worsen

DOUBTFUL = -1
"""The kind of a cell cut to a sliver: nobody can say whether it counts, so nothing is learned."""

_SLIVER = 0.3
"""Part of a box that must be left of it for the cell to count."""

_MOST_ZOOM = 0.45
_ASPECT = 0.06
_BESIDE = 0.6
"""Part of the pasted cells that are put so that they touch a white cell."""

_HIDDEN = 0.5
_CROWDED = 0.15
"""Part of a box under a pasted cell from which a red cell is gone, or a white cell is in its way.
"""


@dataclass(slots=True, eq=False)
class Scene:
    """Pixels of any number of channels, last, and boxes (n, 4) with kinds (n,)."""

    pixels: FloatImage
    boxes: NDArray[np.float32]
    kinds: NDArray[np.intp]


class SceneMaker:
    """Draws scenes from data sets, each in proportion to its part."""

    def __init__(self, fields: dict[str, list[LearnedField]], config: DetectorConfig) -> None:
        self._config = config
        self._sets = [fields[name] for name in config.data_sets]
        parts = np.array(list(config.data_sets.values()))
        self._parts = parts / parts.sum()
        with_cells = [[one for one in each if (one.kinds == WHITE).any()] for each in self._sets]
        self._donors = [each or own for each, own in zip(with_cells, self._sets, strict=True)]

    def scene(self, dice: np.random.Generator) -> Scene:
        """Draw one scene of shape (scene_px, scene_px, CHANNELS)."""
        side = self._config.scene_px
        if dice.random() >= self._config.mosaic:
            return self._window(side, side, dice)
        x, y = (int(side * dice.uniform(0.3, 0.7)) for _ in range(2))
        whole = Scene(np.zeros((side, side, CHANNELS), np.float32), *_no_boxes())
        for left, right in ((0, x), (x, side)):
            for top, bottom in ((0, y), (y, side)):
                part = self._window(right - left, bottom - top, dice)
                whole.pixels[top:bottom, left:right] = part.pixels
                _add(whole, part.boxes + np.array([left, top] * 2, np.float32), part.kinds)
        return whole

    def _window(self, width: int, height: int, dice: np.random.Generator) -> Scene:
        """Draw a piece of one field; what lies beyond the field is bare glass."""
        scene = _cut(_moved(self._draw(self._sets, dice), self._config, dice), width, height, dice)
        if dice.random() < self._config.paste:
            for _ in range(int(dice.integers(1, 4))):
                self._paste(scene, dice)
        density = worsen(restain(scene.pixels, self._config, dice), self._config, dice)
        scene.pixels = stain_view(density).transpose(1, 2, 0)
        return scene

    def _draw(self, sets: Sequence[list[LearnedField]], dice: np.random.Generator) -> LearnedField:
        chosen = sets[int(dice.choice(len(sets), p=self._parts))]
        return chosen[int(dice.integers(len(chosen)))]

    def _paste(self, scene: Scene, dice: np.random.Generator) -> None:
        """Lay a white cell of another field over the scene, if it hides none."""
        donor = _moved(self._draw(self._donors, dice), self._config, dice)
        places = np.flatnonzero(donor.kinds == WHITE)
        if not places.size:
            return
        left, top, right, bottom = donor.boxes[dice.choice(places)].round().astype(int)
        cell = donor.pixels[max(top, 0) : bottom, max(left, 0) : right]
        height, width = cell.shape[:2]
        x, y = _place(scene, width, height, dice)
        box = np.array([x, y, x + width, y + height], np.float32)
        hidden = _covered(scene.boxes, box)
        if min(width, height) < 12 or (hidden > _CROWDED)[scene.kinds <= WHITE].any():
            return
        window, inside = _overlay(scene.pixels, cell, x, y)
        if not window.size:
            return
        mask = _disc(height, width)[inside][..., None]
        window += mask * (cell[inside] - window)
        stays = hidden <= _HIDDEN
        scene.boxes, scene.kinds = scene.boxes[stays], scene.kinds[stays]
        rows, columns = scene.pixels.shape[:2]
        _add(scene, *_clipped(box[None], np.array([WHITE]), columns, rows))


def _moved(field: LearnedField, config: DetectorConfig, dice: np.random.Generator) -> Scene:
    """Turn, mirror and resample a field to the working scale, give or take an error of it."""
    density, boxes = field.density, field.boxes
    height, width = density.shape[:2]
    if dice.random() < 0.5:
        density = density[:, ::-1]
        boxes = np.stack(
            [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1
        )
    if dice.random() < 0.5:
        density = density[::-1]
        boxes = np.stack(
            [boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], axis=1
        )
    if dice.random() < 0.5:
        density, boxes = density.transpose(1, 0, 2), boxes[:, [1, 0, 3, 2]]
    height, width = density.shape[:2]
    zoom = float(np.clip(dice.normal(0, config.zoom), -_MOST_ZOOM, _MOST_ZOOM))
    aspect = dice.uniform(-_ASPECT, _ASPECT)
    base = FINE_UM_PER_PX / WORKING_UM_PER_PX
    size = tuple(
        max(8, round(length * base * np.exp(zoom + sign * aspect)))
        for length, sign in ((width, 1), (height, -1))
    )
    method = cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR
    pixels = cv2.resize(np.ascontiguousarray(density), size, interpolation=method)
    stretch = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return Scene(np.asarray(pixels, np.float32), boxes * stretch, field.kinds)


def _cut(moved: Scene, width: int, height: int, dice: np.random.Generator) -> Scene:
    """Cut a window at any place that shows a good part of the field."""
    rows, columns = moved.pixels.shape[:2]
    x = _offset(columns, width, dice)
    y = _offset(rows, height, dice)
    pixels = np.zeros((height, width, 3), np.float32)
    window, inside = _overlay(pixels, moved.pixels, -x, -y)
    window[:] = moved.pixels[inside]
    boxes = moved.boxes - np.array([x, y] * 2, np.float32)
    return Scene(pixels, *_clipped(boxes, moved.kinds, width, height))


def _offset(length: int, window: int, dice: np.random.Generator) -> int:
    """Return where a window begins; up to a sixth of it may hang over the field's border."""
    spare = window // 6
    low, high = min(0, length - window) - spare, max(0, length - window) + spare
    return int(dice.integers(low, high + 1))


def _overlay(
    under: FloatImage, over: FloatImage, x: int, y: int
) -> tuple[FloatImage, tuple[slice, slice]]:
    """Return the part of `under` that `over` covers when laid at (x, y), and that part of it."""
    rows, columns = under.shape[:2]
    height, width = over.shape[:2]
    x0, x1 = max(x, 0), max(min(x + width, columns), 0)
    y0, y1 = max(y, 0), max(min(y + height, rows), 0)
    inside = (slice(y0 - y, max(y1, y0) - y), slice(x0 - x, max(x1, x0) - x))
    return under[y0 : max(y1, y0), x0 : max(x1, x0)], inside


def _place(scene: Scene, width: int, height: int, dice: np.random.Generator) -> tuple[int, int]:
    """Return left, top of a pasted cell: beside a white cell, or anywhere."""
    rows, columns = scene.pixels.shape[:2]
    white = scene.boxes[scene.kinds == WHITE]
    if len(white) and dice.random() < _BESIDE:
        left, top, right, bottom = white[int(dice.integers(len(white)))]
        angle = dice.uniform(0, 2 * np.pi)
        reach = dice.uniform(0.9, 1.1) / 2
        x = (left + right) / 2 + np.cos(angle) * reach * (right - left + width)
        y = (top + bottom) / 2 + np.sin(angle) * reach * (bottom - top + height)
        return round(float(x) - width / 2), round(float(y) - height / 2)
    return int(dice.integers(-width // 2, columns - width // 2)), int(
        dice.integers(-height // 2, rows - height // 2)
    )


def _disc(height: int, width: int) -> FloatImage:
    """Return an ellipse that fills the box, 1 inside and fading to 0 at its rim."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(np.clip((1.03 - np.hypot(x, y)) / 0.12, 0, 1), np.float32)


def _covered(boxes: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return which part of each box another one covers, shape (n,)."""
    across = np.minimum(boxes[:, 2:], by[2:]) - np.maximum(boxes[:, :2], by[:2])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(across.clip(min=0).prod(axis=1) / areas.clip(min=1e-6), np.float32)


def _clipped(
    boxes: NDArray[np.float32], kinds: NDArray[np.intp], width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Cut boxes at a window's border; slivers become doubtful, what is outside is dropped."""
    inside = np.array([0, 0, width, height], np.float32)
    left_over = _covered(boxes, inside)
    kinds = np.where(left_over < _SLIVER, DOUBTFUL, kinds)
    cut = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
    seen = (cut[:, 2:] - cut[:, :2]).min(axis=1, initial=np.inf) >= 1
    return cut[seen], kinds[seen]


def _no_boxes() -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    return np.zeros((0, 4), np.float32), np.zeros(0, np.intp)


def _add(scene: Scene, boxes: NDArray[np.float32], kinds: NDArray[np.intp]) -> None:
    scene.boxes = np.concatenate([scene.boxes, boxes.astype(np.float32)])
    scene.kinds = np.concatenate([scene.kinds, kinds])
