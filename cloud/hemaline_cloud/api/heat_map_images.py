"""Draws a cell's heat map: a transparent picture to lay over its crop."""

import cv2
import numpy as np

from hemaline_shared.pixels.crops import CROP_PX

RENDERING = "2"
"""Raise it when a heat map's bytes change: it is part of their ETag."""

_STRONGEST = 0.65
"""How opaque the strongest square is: the cell must stay visible below it."""


def draw_heat_map(values: bytes, width: int) -> bytes:
    """Return a PNG, CROP_PX square, with transparency.

    Viridis, because its lightness grows evenly with the value also for who does not see red and
    green, and because no stain is teal or yellow.

    Args:
        values: A byte a square of the grid, row by row.
        width: Squares in a row.
    """
    grid = np.frombuffer(values, np.uint8).reshape(-1, width)
    strength = cv2.resize(grid, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
    bgra = cv2.cvtColor(cv2.applyColorMap(strength, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2BGRA)
    bgra[:, :, 3] = np.rint(strength * _STRONGEST)
    _, encoded = cv2.imencode(".png", bgra)
    return encoded.tobytes()
