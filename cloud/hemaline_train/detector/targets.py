"""What a detector should answer on a scene: heat at the cells' centres, extents of white cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.leukocytes.answers import STRIDE
from hemaline_shared.pixels.stain import FloatImage
from hemaline_train.detector.fields import KINDS, WHITE
from hemaline_train.detector.scenes import DOUBTFUL, Scene

_HEAT = 0.12
"""Standard deviation of a centre's heat, over the cell's width."""

_NEAR_CENTRE = 0.35
"""Heat from which a place answers for the box as well."""


@dataclass(slots=True, eq=False)
class Target:
    """Maps of the answers' size.

    Attributes:
        heat: 1 at centres, shape (KINDS, rows, columns).
        known: 0 where nobody can say what is right, shape (rows, columns).
        extents: Left, top, right, bottom of the white cell here in pixels, (4, rows, columns).
        near: How much this place answers for a box, shape (rows, columns).
    """

    heat: FloatImage
    known: FloatImage
    extents: FloatImage
    near: FloatImage


def target_of(scene: Scene) -> Target:
    """Draw the answer to a scene."""
    rows, columns = (length // STRIDE for length in scene.pixels.shape[:2])
    x = np.asarray((np.arange(columns) + 0.5) * STRIDE, np.float32)
    y = np.asarray((np.arange(rows) + 0.5) * STRIDE, np.float32)
    target = Target(
        np.zeros((KINDS, rows, columns), np.float32),
        np.ones((rows, columns), np.float32),
        np.ones((4, rows, columns), np.float32),
        np.zeros((rows, columns), np.float32),
    )
    for box, kind in zip(scene.boxes, scene.kinds, strict=True):
        if kind == DOUBTFUL:
            left, top, right, bottom = (box / STRIDE).astype(int)
            target.known[top : bottom + 1, left : right + 1] = 0
            continue
        heat = _heat(box, x, y)
        if kind == WHITE:
            _answer_for_box(target, box, heat, x, y)
        np.maximum(target.heat[kind], heat, out=target.heat[kind])
    # What a surer label says holds even beside a sliver.
    target.known = np.maximum(target.known, (target.heat.max(axis=0) > 0.5).astype(np.float32))
    return target


def _heat(box: NDArray[np.float32], x: FloatImage, y: FloatImage) -> FloatImage:
    left, top, right, bottom = box
    across = np.exp(-0.5 * ((x - (left + right) / 2) / _spread(right - left)) ** 2)
    down = np.exp(-0.5 * ((y - (top + bottom) / 2) / _spread(bottom - top)) ** 2)
    heat = down[:, None] * across[None]
    heat[np.unravel_index(heat.argmax(), heat.shape)] = 1.0
    return np.asarray(heat, np.float32)


def _spread(length: float) -> float:
    return max(_HEAT * length, 0.35 * STRIDE)


def _answer_for_box(
    target: Target, box: NDArray[np.float32], heat: FloatImage, x: FloatImage, y: FloatImage
) -> None:
    """Let the places near the centre answer for this box, unless another's is nearer."""
    mine = (heat >= _NEAR_CENTRE) & (heat > target.near)
    left, top, right, bottom = box
    across, down = np.broadcast_arrays(x[None], y[:, None])
    extents = np.stack([across - left, down - top, right - across, bottom - down])
    target.extents[:, mine] = np.maximum(extents[:, mine], 0.5)
    target.near[mine] = heat[mine]
