"""Signed distances, soft edges and grain: the pencils the cells are drawn with."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""Shape (side, side): one number per pixel of a sprite."""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A square of paper for one cell: coordinates in µm around the middle.

    Attributes:
        x: µm to the right, shape (side, side).
        y: µm down, shape (side, side).
        um_per_px: Size of a pixel.
    """

    x: Plane
    y: Plane
    um_per_px: float


def blank_sheet(side_um: float, um_per_px: float) -> Sheet:
    """Return a sheet of an odd number of pixels that covers `side_um`."""
    half = int(np.ceil(side_um / 2 / um_per_px))
    axis = np.arange(-half, half + 1, dtype=np.float32) * np.float32(um_per_px)
    x, y = np.meshgrid(axis, axis)
    return Sheet(x, y, um_per_px)


def grain(rng: np.random.Generator, sheet: Sheet, size_um: float) -> Plane:
    """Return smooth noise of unit variance with features of about `size_um`."""
    noise = rng.standard_normal(sheet.x.shape, dtype=np.float32)
    return _standardised(_blurred(noise, size_um / 2, sheet))


def speckle(rng: np.random.Generator, sheet: Sheet, size_um: float) -> Plane:
    """Return noise of unit variance whose peaks are round dots of about `size_um`."""
    noise = rng.standard_normal(sheet.x.shape, dtype=np.float32)
    # The difference of two blurs keeps one size of feature, and breaks up what would run together.
    fine, coarse = (_blurred(noise, sigma * size_um, sheet) for sigma in (0.3, 0.48))
    return _standardised(fine - coarse)


def _blurred(noise: Plane, sigma_um: float, sheet: Sheet) -> Plane:
    sigma = max(sigma_um / sheet.um_per_px, 0.3)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma), np.float32)


def _standardised(noise: Plane) -> Plane:
    return np.asarray((noise - noise.mean()) / (noise.std() + 1e-6), np.float32)


def wobble(rng: np.random.Generator, sheet: Sheet, size_um: float, amount_um: float) -> Sheet:
    """Return the sheet with its coordinates bent, so that what is drawn looks grown."""
    return Sheet(
        sheet.x + np.float32(amount_um) * grain(rng, sheet, size_um),
        sheet.y + np.float32(amount_um) * grain(rng, sheet, size_um),
        sheet.um_per_px,
    )


def ellipse(sheet: Sheet, centre: tuple[float, float], radii: tuple[float, float]) -> Plane:
    """Return the distance in µm to an ellipse's outline, negative inside (near it, exact)."""
    x = (sheet.x - np.float32(centre[0])) / np.float32(radii[0])
    y = (sheet.y - np.float32(centre[1])) / np.float32(radii[1])
    return np.asarray((np.sqrt(x * x + y * y) - 1) * min(radii), np.float32)


def ribbon(sheet: Sheet, points: NDArray[np.float64], radius: float) -> Plane:
    """Return the distance to a thick line through `points`, shape (n, 2)."""
    distance = np.full(sheet.x.shape, np.inf, np.float32)
    for (ax, ay), (bx, by) in zip(points[:-1].tolist(), points[1:].tolist(), strict=True):
        dx, dy = bx - ax, by - ay
        along = ((sheet.x - ax) * dx + (sheet.y - ay) * dy) / (dx * dx + dy * dy)
        along = np.clip(along, 0, 1)
        near = np.hypot(sheet.x - (ax + along * dx), sheet.y - (ay + along * dy))
        distance = np.minimum(distance, near.astype(np.float32))
    return distance - np.float32(radius)


def union(first: Plane, second: Plane, roundness_um: float) -> Plane:
    """Join two shapes with a rounded seam."""
    k = np.float32(roundness_um)
    blend = np.clip(0.5 + 0.5 * (second - first) / k, 0, 1)
    joined = second + (first - second) * blend - k * blend * (1 - blend)
    return np.asarray(joined, np.float32)


def soft(distance: Plane, edge_um: float) -> Plane:
    """Return 1 inside, 0 outside, and a smooth step of `edge_um` between."""
    step = np.clip(0.5 - distance / np.float32(edge_um), 0, 1)
    return np.asarray(step * step * (3 - 2 * step), np.float32)
