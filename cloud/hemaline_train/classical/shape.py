"""Shape of a nucleus and its cell, in micrometres or without a unit; turning changes nothing."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_train.classical.masks import WORKING_UM_PER_PX, CellMasks, Flags

_ANGLES = 36
_HARMONICS = 4


def shape_features(masks: CellMasks) -> NDArray[np.float64]:
    """Return how large, round, smooth, lobed and central nucleus and cell are."""
    nucleus, cell = outline_features(masks.nucleus), outline_features(masks.cell)
    ratio = masks.nucleus.sum() / max(1, masks.cell.sum())
    offset = _offset(masks) * WORKING_UM_PER_PX
    lobes = cv2.connectedComponents(masks.nucleus.astype(np.uint8))[0] - 1
    return np.array([*nucleus, *cell, ratio, offset, min(lobes, 6), _thickness(masks.nucleus)])


def outline_features(mask: Flags) -> NDArray[np.float64]:
    """Return area, perimeter, form factor, eccentricity, solidity, harmonics and Hu's moments.

    The form factor is 4 pi area over perimeter squared: 1 for a disc. The harmonics are the powers
    of the radius as it goes round. Of an empty mask all are 0.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    area = float(mask.sum())
    if not contours or area < 5:
        return np.zeros(6 + _HARMONICS + 4)
    points = np.vstack(contours)
    perimeter = sum(cv2.arcLength(one, closed=True) for one in contours)
    convex = cv2.convexHull(points)
    solidity = min(1.0, area / max(cv2.contourArea(convex) + perimeter / 2, 1.0))
    roughness = perimeter / max(cv2.arcLength(convex, closed=True), 1.0)
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    hu = cv2.HuMoments(moments)[:4, 0]
    logs = -np.log10(np.abs(hu) + 1e-12)
    return np.array(
        [
            area * WORKING_UM_PER_PX**2,
            perimeter * WORKING_UM_PER_PX,
            4 * np.pi * area / max(perimeter, 1.0) ** 2,
            _eccentricity(moments),
            solidity,
            roughness,
            *_harmonics(points[:, 0].astype(np.float64)),
            *logs,
        ]
    )


def _eccentricity(moments: dict[str, float]) -> float:
    """Return that of the ellipse with the same second moments: 0 for a disc, under 1."""
    across = (moments["mu20"] + moments["mu02"]) / 2
    apart = np.hypot((moments["mu20"] - moments["mu02"]) / 2, moments["mu11"])
    longer, shorter = across + apart, across - apart
    return float(np.sqrt(max(0.0, 1 - shorter / longer))) if longer > 0 else 0.0


def _harmonics(points: NDArray[np.float64]) -> NDArray[np.float64]:
    away = points - points.mean(axis=0)
    angles = np.arctan2(away[:, 1], away[:, 0])
    order = np.argsort(angles)
    at = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
    radius = np.interp(at, angles[order], np.hypot(*away.T)[order], period=2 * np.pi)
    power = np.abs(np.fft.rfft(radius))
    return np.asarray(power[2 : 2 + _HARMONICS] / max(power[0], 1e-9))


def _offset(masks: CellMasks) -> float:
    if not masks.nucleus.any():
        return 0.0
    nucleus, cell = (np.argwhere(mask).mean(axis=0) for mask in (masks.nucleus, masks.cell))
    return float(np.hypot(*(nucleus - cell)))


def _thickness(nucleus: Flags) -> float:
    depth = cv2.distanceTransform(nucleus.astype(np.uint8), cv2.DIST_L2, 3)
    return float(depth.max()) * WORKING_UM_PER_PX
