"""How sure we are that a nucleus is a white cell's and not a platelet, dirt or a defocus ring."""

from dataclasses import dataclass

import cv2
import numpy as np

from hemaline_shared.pixels.leukocytes.pieces import WORKING_UM_PER_PX, Piece
from hemaline_shared.pixels.stain import FloatImage

_INTERCEPT = -8.66
_THICKNESS = 1.31
_AREA = 2.73
_PURPLE = 2.84
_RELATIVE = 5.57
"""Weights of a logistic regression on the train splits of bccd, txl-pbc, draaslan-bcd,
chula-wbc5 and wbc-seg, each set counted alike; all four traits enter as natural logarithms."""

_FULL_GROWN_UM2 = 30.0
"""Area from which a nucleus may set the standard that the field's others are held against."""

_THICKEST_PX = 20.0
"""A mask without any edge of its own has no distance to one."""

_LEAST_UM2 = 12.0
_MOST_UM2 = 400.0
_LEAST_ON_BORDER_UM2 = 8.0
"""A small lymphocyte's nucleus has 28 µm², a large platelet 7."""


@dataclass(frozen=True, slots=True)
class _Traits:
    area_um2: float
    purple: float
    thickness_um: float
    on_border: bool


def confidences(nuclei: list[list[Piece]], tint: FloatImage) -> list[float]:
    """Return how sure each nucleus is, 0..1.

    Args:
        nuclei: Pieces of each nucleus.
        tint: How purple a pixel is, shape (height, width).
    """
    traits = [_measure(nucleus, tint) for nucleus in nuclei]
    standard = max(
        (
            one.purple * min(1, one.area_um2 / _FULL_GROWN_UM2)
            for one in traits
            if _nucleus_sized(one)
        ),
        default=1.0,
    )
    return [_confidence(one, standard) for one in traits]


def _nucleus_sized(traits: _Traits) -> bool:
    least = _LEAST_ON_BORDER_UM2 if traits.on_border else _LEAST_UM2
    return least <= traits.area_um2 <= _MOST_UM2


def _confidence(traits: _Traits, standard: float) -> float:
    if not _nucleus_sized(traits):
        return 0.0
    score = (
        _INTERCEPT
        + _THICKNESS * np.log(traits.thickness_um + 0.1)
        + _AREA * np.log(traits.area_um2)
        + _PURPLE * np.log(traits.purple)
        + _RELATIVE * np.log(min(1.0, traits.purple / standard))
    )
    return float(1 / (1 + np.exp(-score)))


def _measure(nucleus: list[Piece], tint: FloatImage) -> _Traits:
    x, y, width, height = cv2.boundingRect(np.vstack([piece.outline for piece in nucleus]))
    mask = np.zeros((height, width), np.uint8)
    for piece in nucleus:
        cv2.drawContours(mask, [piece.outline - np.array([x, y], np.int32)], -1, 1, cv2.FILLED)
    values = tint[y : y + height, x : x + width][mask > 0]
    cut = (y <= 1, y + height >= tint.shape[0] - 1, x <= 1, x + width >= tint.shape[1] - 1)
    # A nucleus goes on beyond the field's border: only its own edges limit its thickness.
    top, bottom, left, right = (int(not side) for side in cut)
    framed = cv2.copyMakeBorder(mask, top, bottom, left, right, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)
    return _Traits(
        area_um2=sum(piece.area_um2 for piece in nucleus),
        purple=max(float(values.mean()), 1e-3),
        thickness_um=min(float(depth.max()), _THICKEST_PX) * WORKING_UM_PER_PX,
        on_border=any(cut),
    )
