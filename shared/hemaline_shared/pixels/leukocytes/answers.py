"""From a detection network's maps to boxes: peaks, extents, and no cell twice."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.leukocytes.view import MARGIN_PX
from hemaline_shared.pixels.stain import FloatImage
from hemaline_shared.pixels.types import Box, Leukocyte

STRIDE = 4
"""Pixels of the view for one of the network's answers: 1.2 µm."""

MAPS = 5
"""Of the answer: how likely a white cell's centre lies here, then the distances from here to the
cell's left, top, right and bottom, in pixels of the view."""

_SAME_CELL = 0.5
_INSIDE = 0.8
"""Overlap of two boxes, over both or over the smaller, from which they are one cell seen twice."""


def cells_of_answer(
    answer: FloatImage, zoom: tuple[float, float], image_shape: tuple[int, ...], sure_enough: float
) -> list[Leukocyte]:
    """Return the white cells in pixels of the image, most confident first.

    Args:
        answer: Shape (MAPS, rows, columns); one answer for each STRIDE pixels of the view.
        zoom: Pixels of the view, across and down, for one pixel of the image.
        image_shape: (height, width, ...) of the image.
        sure_enough: Confidence from which a cell is reported.
    """
    boxes, confidences = _peaks(answer, sure_enough)
    boxes = (boxes - MARGIN_PX) / np.array([*zoom, *zoom])
    height, width = image_shape[:2]
    boxes = np.clip(boxes, 0, [width, height, width, height])
    order = np.argsort(-confidences, kind="stable")
    return [
        Leukocyte(_whole_pixels(boxes[index]), float(confidences[index]))
        for index in _each_once(boxes, order)
    ]


def _peaks(
    answer: FloatImage, sure_enough: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return left, top, right, bottom of each peak in pixels of the view, and how sure it is."""
    likely = np.ascontiguousarray(answer[0])
    around = cv2.dilate(likely, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero((likely == around) & (likely >= sure_enough))
    x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
    left, top, right, bottom = answer[1:MAPS, rows, columns].astype(np.float64)
    boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1)
    return boxes, likely[rows, columns].astype(np.float64)


def _each_once(boxes: NDArray[np.float64], order: NDArray[np.intp]) -> list[int]:
    """Return the places of those that no surer one covers, in the same order."""
    kept: list[int] = []
    for index in order.tolist():
        width, height = boxes[index, 2:] - boxes[index, :2]
        if min(width, height) >= 1 and not _covered(boxes[index], boxes[kept]):
            kept.append(index)
    return kept


def _covered(box: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    across = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = across.clip(min=0).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(axis=1)
    twice = shared >= _SAME_CELL * (area + areas - shared)
    return bool((twice | (shared >= _INSIDE * np.minimum(area, areas))).any())


def _whole_pixels(edges: NDArray[np.float64]) -> Box:
    left, top, right, bottom = (round(edge) for edge in edges.tolist())
    return Box(left, top, max(right, left + 1), max(bottom, top + 1))
