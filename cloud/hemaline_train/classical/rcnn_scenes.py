"""Views of labelled fields for system D: one scale, one white balance, turned and relit."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.stain import optical_density
from hemaline_shared.pixels.types import RgbImage, Scale
from hemaline_train.data.manifest import LabelledImage
from hemaline_train.data.pictures import read_picture

VIEW_UM_PER_PX = 0.3
SCENE_PX = 160
"""A scene of training shows 48 µm: a whole BCCD field, or a part of a wide one."""

_LEAST_INSIDE = 0.5
"""A cell of which less is left at the scene's border is none."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledView:
    """A field at the view's scale: `light` of shape (h, w, 3) in 0..1, `boxes` of shape (n, 4)."""

    light: NDArray[np.float32]
    boxes: NDArray[np.float32]


def light_at_view_scale(image: RgbImage, scale: Scale) -> tuple[NDArray[np.float32], float]:
    """Return how much light passes at the view's scale, glass being 1, and the zoom to it."""
    zoom = float(np.clip(scale.um_per_px / VIEW_UM_PER_PX, 0.05, 2.0))
    height, width = image.shape[:2]
    size = (max(16, round(width * zoom)), max(16, round(height * zoom)))
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    return np.asarray(np.exp(-optical_density(small)).clip(0, 1.1), np.float32), zoom


def labelled_view(image: LabelledImage) -> LabelledView:
    """Read a labelled field at the view's scale.

    Raises:
        PermanentError: It cannot be decoded.
    """
    pixels = read_picture(image.path)
    light, zoom = light_at_view_scale(pixels, estimate_scale(pixels))
    edges = [(box.left, box.top, box.right, box.bottom) for box in image.white_cells]
    return LabelledView(light, np.array(edges, np.float32).reshape(-1, 4) * zoom)


def as_tensor(light: NDArray[np.float32]) -> torch.Tensor:
    """Return one view as Lite0 takes it, shape (1, 3, h, w)."""
    return torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1)[None])) * 2 - 1


def random_scene(
    view: LabelledView, dice: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a scene, shape (1, 3, SCENE_PX, SCENE_PX), and the boxes in it, shape (n, 4)."""
    zoom = float(np.exp(dice.normal(0, 0.15)))
    turn, mirror = int(dice.integers(4)), bool(dice.integers(2))
    target = _target(view, dice)
    # One affine map: the target goes to a random place near the middle, turned and enlarged.
    corner, side = turn * np.pi / 2, -1.0 if mirror else 1.0
    cosine, sine = round(np.cos(corner)) * zoom, round(np.sin(corner)) * zoom
    linear = np.array([[cosine * side, -sine], [sine * side, cosine]])
    place = SCENE_PX / 2 + dice.uniform(-0.25, 0.25, 2) * SCENE_PX
    shift = place - linear @ target
    matrix = np.hstack([linear, shift[:, None]])
    scene = cv2.warpAffine(
        view.light, matrix, (SCENE_PX, SCENE_PX), flags=cv2.INTER_LINEAR, borderValue=(1, 1, 1)
    )
    shade = dice.normal(1, 0.15, 3)
    # A power of the light is a factor of the absorbance: more or less of a stain.
    scene = np.maximum(np.asarray(scene, np.float32), 1e-3) ** shade.clip(0.5, 1.6)
    scene += dice.normal(0, 0.02, scene.shape)
    return as_tensor(scene.astype(np.float32)), _boxes_in_scene(view.boxes, matrix)


def _target(view: LabelledView, dice: np.random.Generator) -> NDArray[np.float64]:
    """Return a cell's middle, mostly; now and then any place."""
    height, width = view.light.shape[:2]
    if len(view.boxes) and dice.random() < 0.8:
        left, top, right, bottom = view.boxes[dice.integers(len(view.boxes))].tolist()
        return np.array([(left + right) / 2, (top + bottom) / 2])
    return np.asarray(dice.uniform(0, 1, 2) * (width, height))


def _boxes_in_scene(boxes: NDArray[np.float32], matrix: NDArray[np.float64]) -> torch.Tensor:
    corners = boxes[:, [[0, 1], [2, 3]]].reshape(-1, 2) @ matrix[:, :2].T + matrix[:, 2]
    pairs = corners.reshape(-1, 2, 2)
    whole = np.concatenate([pairs.min(axis=1), pairs.max(axis=1)], axis=1)
    cut = whole.clip(0, SCENE_PX)
    area = (whole[:, 2:] - whole[:, :2]).prod(axis=1)
    left = (cut[:, 2:] - cut[:, :2]).prod(axis=1)
    return torch.from_numpy(cut[left >= _LEAST_INSIDE * np.maximum(area, 1e-6)].astype(np.float32))
