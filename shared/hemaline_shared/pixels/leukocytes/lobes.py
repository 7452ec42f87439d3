"""Join the lobes of one nucleus, and leave neighbours apart."""

import cv2
import numpy as np

from hemaline_shared.pixels.leukocytes.cells import enclosing_box
from hemaline_shared.pixels.leukocytes.pieces import WORKING_UM_PER_PX, Piece
from hemaline_shared.pixels.stain import Mask
from hemaline_shared.pixels.types import Box

_LARGEST_GAP_UM = 3.5
_WIDEST_NUCLEUS_UM = 15.0
"""Across all lobes; two neighbouring lymphocytes' nuclei span more."""

_SAME_CELL = 0.5
"""Overlap of two cells' boxes, over the smaller, from which they are one cell seen twice."""

_WIDEST_IN_ONE_CELL_UM = 18.0
"""Looser than for neighbours: here the cytoplasm speaks for one cell as well."""


def join_neighbours(pieces: list[Piece]) -> list[list[Piece]]:
    """Group pieces with a small gap between them, the nearest first."""
    groups = [[piece] for piece in pieces]
    for _, first, second in sorted(_near_pairs(pieces)):
        a = _group_of(pieces[first], groups)
        b = _group_of(pieces[second], groups)
        if a is not b and _joinable(a, b, _WIDEST_NUCLEUS_UM):
            a += b
            groups = [group for group in groups if group is not b]
    return groups


def join_within_cells(nuclei: list[list[Piece]], stained: Mask) -> list[list[Piece]]:
    """Join nuclei whose cells would overlap by half: far-apart lobes, as in many eosinophils.

    Args:
        nuclei: The pieces of each nucleus.
        stained: 1 where there is a cell of any kind, shape of the working image.
    """
    joined: list[list[Piece]] = []
    boxes: list[Box] = []
    waiting = list(nuclei)
    while waiting:
        nucleus = waiting.pop()
        box = enclosing_box(nucleus, stained, stained.shape)
        partner = next(
            (
                index
                for index, other in enumerate(boxes)
                if _overlap_of_smaller(box, other) >= _SAME_CELL
                and _joinable(nucleus, joined[index], _WIDEST_IN_ONE_CELL_UM)
            ),
            None,
        )
        if partner is None:
            joined.append(nucleus)
            boxes.append(box)
        else:
            boxes.pop(partner)
            waiting.append(nucleus + joined.pop(partner))
    return joined


def _joinable(one: list[Piece], other: list[Piece], widest_um: float) -> bool:
    """Two whole nuclei are neighbours; and no nucleus is wider than it can be."""
    if any(piece.whole for piece in one) and any(piece.whole for piece in other):
        return False
    _, radius = cv2.minEnclosingCircle(np.vstack([piece.outline for piece in one + other]))
    return 2 * radius * WORKING_UM_PER_PX <= widest_um


def _group_of(piece: Piece, groups: list[list[Piece]]) -> list[Piece]:
    return next(group for group in groups if any(member is piece for member in group))


def _near_pairs(pieces: list[Piece]) -> list[tuple[float, int, int]]:
    """Return (gap in µm, first, second) of pieces near enough to be lobes of one nucleus."""
    outlines = [piece.outline[:, 0].astype(np.float32) for piece in pieces]
    middles = np.array([outline.mean(axis=0) for outline in outlines]).reshape(-1, 1, 2)
    near = np.abs(middles - middles.swapaxes(0, 1)).max(axis=2) < (
        _WIDEST_NUCLEUS_UM / WORKING_UM_PER_PX
    )
    pairs = []
    for first, second in np.argwhere(np.triu(near, 1)):
        apart = outlines[first][:, None] - outlines[second][None]
        gap = float(np.sqrt((apart**2).sum(axis=2).min())) * WORKING_UM_PER_PX
        if gap < _LARGEST_GAP_UM:
            pairs.append((gap, int(first), int(second)))
    return pairs


def _overlap_of_smaller(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    smaller = min(one.width * one.height, other.width * other.height)
    return max(0, width) * max(0, height) / smaller
