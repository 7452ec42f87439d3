"""How large a pixel is on the slide, judged by the red cells in the field."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.stain import STAINED, FloatImage, Mask, optical_density, purple
from hemaline_shared.pixels.types import RgbImage, Scale

RED_CELL_UM = 7.5
"""Across a healthy red cell on a dried smear (Bain, Blood Cells: 7.2 to 7.9 µm)."""

ASSUMED_UM_PER_PX = 0.1
"""A 100x oil objective on a common camera: the labelled optics lie between 0.05 and 0.14."""

SMALLEST_FRAME_UM = 20.0
"""No frame is cut closer than a white cell of 15 µm and its margin. So a small picture without
red cells, such as a single-cell crop of 120 pixels, has larger pixels than the default."""

_WORKING_PX = 320
"""The longer side of the image that is measured: red cells are still 15 pixels across at 100x."""

_BELIEVABLE_UM_PER_PX = (0.03, 0.6)
_FEWEST_RED_CELLS = 5
_LEAST_COVERED = 0.18
_LEAST_COVERED_BY_LIKES = 0.12
_LIKES = 20
_LIKES_SPREAD = 0.22
"""Red cells fill a good part of a frame; in a thin field they must at least be many and
alike (standard deviation over median). Specks of cytoplasm and defocus rings are neither."""

_INSCRIBED = 0.82
"""Measured inscribed circle over the labelled width of red cells (medians of bccd, txl-pbc and
draaslan-bcd train: 0.77, 0.81, 0.90): blur, pallor and crenation shrink the circle."""


def estimate_scale(image: RgbImage) -> Scale:
    """Judge the scale by the red cells, which are 7.5 µm across.

    Args:
        image: The field, shape (height, width, 3).

    Returns:
        Source "red-cells"; or "assumed" where fewer than five red cells can be told apart.
    """
    diameters, covered = _red_cell_diameters(image)
    if len(diameters) >= _FEWEST_RED_CELLS and _trustworthy(diameters, covered):
        um_per_px = RED_CELL_UM / float(np.median(diameters))
        if _BELIEVABLE_UM_PER_PX[0] < um_per_px < _BELIEVABLE_UM_PER_PX[1]:
            return Scale(um_per_px, "red-cells")
    return Scale(max(ASSUMED_UM_PER_PX, SMALLEST_FRAME_UM / min(image.shape[:2])), "assumed")


def _trustworthy(diameters: NDArray[np.float32], covered: float) -> bool:
    spread = float(np.std(diameters) / np.median(diameters))
    alike = len(diameters) >= _LIKES and spread <= _LIKES_SPREAD
    return covered >= (_LEAST_COVERED_BY_LIKES if alike else _LEAST_COVERED)


def _red_cell_diameters(image: RgbImage) -> tuple[NDArray[np.float32], float]:
    """Return diameters in pixels of the image, and the part of the frame that they cover."""
    longer = max(image.shape[:2])
    shrink = max(1.0, longer / _WORKING_PX)
    small = cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    density = cv2.GaussianBlur(optical_density(np.asarray(small, np.uint8)), (0, 0), 1.0)
    cells = _red_cell_mask(np.asarray(density, np.float32))
    across = 2 * _inscribed_radii(cells) / _INSCRIBED
    covered = float((np.pi / 4 * across**2).sum()) / cells.size
    return across * shrink, covered


def _red_cell_mask(density: FloatImage) -> Mask:
    total: FloatImage = density.sum(axis=2)
    nuclear = _nuclear(density, total)
    shade = np.clip(total * 100, 0, 255).astype(np.uint8)
    rest = shade[nuclear == 0]
    if len(rest) < 100:
        return np.zeros_like(nuclear)
    threshold, _ = cv2.threshold(rest.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if threshold < 40 * STAINED:
        return np.zeros_like(nuclear)
    cells: Mask = ((shade > 0.9 * threshold) & (nuclear == 0)).astype(np.uint8)
    _fill_pallor(cells)
    cells[nuclear > 0] = 0
    return cells


def _nuclear(density: FloatImage, total: FloatImage) -> Mask:
    """Mark what is purple, with a rim, so that white cells are not measured."""
    tint = purple(density)
    stained = tint[total > STAINED]
    ordinary = max(0.0, float(np.median(stained))) if stained.size else 0.0
    threshold = max(0.2, 2 * ordinary, 0.35 * float(np.percentile(tint, 99.5)))
    marked = (tint > threshold).astype(np.uint8)
    return np.asarray(cv2.dilate(marked, np.ones((3, 3), np.uint8)), np.uint8)


def _fill_pallor(cells: Mask) -> None:
    """Fill pale centres, which are convex; the gaps between touching discs are not."""
    contours, nesting = cv2.findContours(cells, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for index, contour in enumerate(contours):
        if nesting[0][index][3] < 0:
            continue
        area = cv2.contourArea(contour)
        if area < 4 or area > 0.85 * cv2.contourArea(cv2.convexHull(contour)):
            cv2.drawContours(cells, contours, index, 1, cv2.FILLED)


def _inscribed_radii(cells: Mask) -> NDArray[np.float32]:
    """Return the radius at each centre, without specks, clumps and cells on the border."""
    depth = cv2.GaussianBlur(cv2.distanceTransform(cells, cv2.DIST_L2, 5), (0, 0), 1.0)
    peaks = (depth == cv2.dilate(depth, np.ones((9, 9), np.uint8))) & (depth > 2.5)
    inner = np.asarray(depth[3:-3, 3:-3][peaks[3:-3, 3:-3]], np.float32)
    if not inner.size:
        return inner
    # The typical radius by area, so that many platelets do not outvote few red cells.
    ordered = np.sort(inner)
    shares = np.cumsum(ordered**2)
    typical = ordered[np.searchsorted(shares, shares[-1] / 2)]
    alike: NDArray[np.float32] = inner[(inner > 0.6 * typical) & (inner < 1.5 * typical)]
    return alike
