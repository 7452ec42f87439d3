"""Which cells of two fields of one slide are the same: found by the fields' content. Pure.

A microscope's stage moves without turning, so two fields that show the same place differ by a
shift. A cell of each suggests one; it is believed where all that both fields show agrees under it:
red cells, debris, background. A field's look is a small ternary picture, brighter or darker than
its surroundings, which neither brightness nor compression changes much.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import Box, RgbImage

SIDE = 160
"""Pixels of a look's longer side: a red cell has 9 or more of a common field's."""

_FINE, _COARSE = 1.0, 7.5
_LEVEL = 0.4
"""Of the standard deviation: what is fainter is neither bright nor dark."""
_REACH = 2
"""Pixels of a look by which the boxes of one cell in two fields may be apart."""
_PATCH = 15
_ALIKE_PATCHES = 0.45
_PROMISING = 0.4
LEAST_AGREEMENT = 0.72
"""Correlation of all that both fields show."""
LEAST_SURPRISE = 8.0
"""That correlation in standard deviations of what chance gives."""
_LEAST_AROUND, _LEAST_AROUND_SURPRISE, _LEAST_SHOWN = 0.6, 1.5, 0.08
"""The same of what lies around the cells, and how much of it there must be: two lymphocytes on
empty glass look alike."""
_HALO = 6
"""Pixels of a look by which a cell brightens its surroundings."""
_MOST_LAG = 18
_SAME_PLACE = 0.4
"""Of a box: how far the centres of one cell may be apart under the shift."""

_Ternary = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Look:
    """What a field looks like, small: -1 dark, 1 bright, 0 neither, shape (height, width)."""

    pixels: _Ternary

    @classmethod
    def of(cls, image: RgbImage) -> "Look":
        """Return the look of a field of shape (height, width, 3)."""
        shrink = SIDE / max(image.shape[:2])
        size = [max(1, round(side * shrink)) for side in (image.shape[1], image.shape[0])]
        # Green: haemoglobin and nuclei both take it away.
        small = cv2.resize(image[:, :, 1], size, interpolation=cv2.INTER_AREA).astype(np.float32)
        detail = cv2.GaussianBlur(small, (0, 0), _FINE) - cv2.GaussianBlur(small, (0, 0), _COARSE)
        level = max(1e-6, _LEVEL * float(detail.std()))
        return cls((detail > level).astype(np.int8) - (detail < -level).astype(np.int8))

    @classmethod
    def unpack(cls, packed: bytes) -> "Look":
        """Return the look that `pack` was called on."""
        width = int.from_bytes(packed[:2])
        planes = np.unpackbits(np.frombuffer(zlib.decompress(packed[2:]), np.uint8))
        bright, dark = planes.reshape(2, -1).astype(np.int8)
        return cls((bright - dark)[: len(bright) - len(bright) % width].reshape(-1, width))

    def pack(self) -> bytes:
        """Return a kilobyte or two that hold it."""
        planes = [np.packbits(self.pixels.ravel() == sign).tobytes() for sign in (1, -1)]
        width: int = self.pixels.shape[1]
        return width.to_bytes(2) + zlib.compress(b"".join(planes), 6)

    @cached_property
    def grain(self) -> float:
        """How many pixels tell as much as one that is independent of its neighbours."""
        centred = self.pixels - self.pixels.mean()
        padded = tuple(2 * side for side in centred.shape)
        power = np.abs(np.fft.rfft2(centred, padded)) ** 2
        lags = np.fft.irfft2(power, padded)
        near = np.r_[0 : _MOST_LAG + 1, -_MOST_LAG:0]
        rows, columns = (near[np.abs(near) < side] for side in centred.shape)
        alike = lags[np.ix_(rows, columns)] / max(float(lags[0, 0]), 1e-9)
        return max(1.0, float((alike**2).sum()))


@dataclass(frozen=True, eq=False)
class SeenField:
    """A field's look with the boxes of its whole cells; both in one place of `boxes` are one cell.

    Attributes:
        size: Pixels across and down; fields of other sizes are never compared.
        boxes: In the field's pixels; cells that the border cuts are left out.
    """

    look: Look
    size: tuple[int, int]
    boxes: Sequence[Box]

    @property
    def shrink(self) -> float:
        """A look's pixels for each of the field's."""
        return float(self.look.pixels.shape[1] / self.size[0])

    @cached_property
    def bare(self) -> NDArray[np.bool_]:
        """Where the look shows no whole cell and no halo of one."""
        bare = np.ones(self.look.pixels.shape, bool)
        for box in self.boxes:
            left, top, right, bottom = (
                round(side * self.shrink) for side in (box.left, box.top, box.right, box.bottom)
            )
            rows = slice(max(0, top - _HALO), max(0, bottom + _HALO))
            bare[rows, max(0, left - _HALO) : max(0, right + _HALO)] = False
        return bare

    @cached_property
    def patches(self) -> NDArray[np.float32]:
        """The surroundings of each cell in the look, each of length 1, shape (cells, pixels)."""
        return self._around(0, 0)

    def moved_patches(self) -> NDArray[np.float32]:
        """Return the same, moved by each way within reach, shape (ways, cells, pixels)."""
        return np.stack([self._around(x, y) for x, y in _WAYS])

    def _around(self, right: int, down: int) -> NDArray[np.float32]:
        rim = _PATCH + _REACH
        padded = np.pad(self.look.pixels, rim)
        patches = np.zeros((len(self.boxes), _PATCH * _PATCH), np.float32)
        for row, box in enumerate(self.boxes):
            x, y = (round(middle * self.shrink) - _PATCH // 2 + rim for middle in box.centre)
            part = padded[y + down : y + down + _PATCH, x + right : x + right + _PATCH]
            patches[row] = part.ravel()
        lengths = np.linalg.norm(patches, axis=1, keepdims=True)
        return np.asarray(patches / np.maximum(lengths, 1e-6), np.float32)


class _Agreement(NamedTuple):
    """How alike what both show is: `surprise` is how little chance explains it, in deviations.

    `shown` is the part of it that is bright or dark in the emptier of the two.
    """

    correlation: float
    surprise: float
    shown: float


_WAYS = tuple(product(range(-_REACH, _REACH + 1), repeat=2))


def same_cells(new: SeenField, others: Sequence[SeenField]) -> list[tuple[int, int, int]]:
    """Return the cells of a field that others show too.

    Returns:
        The cell's place in `new.boxes`, the other field's place in `others`, the cell's place in
        that field's boxes.
    """
    comparable = [at for at, other in enumerate(others) if other.boxes and other.size == new.size]
    if not new.boxes or not comparable:
        return []
    # One product for all cells of all fields: most pairs of fields end here.
    every = np.concatenate([others[at].patches for at in comparable])
    alike = new.moved_patches() @ every.T
    found, start = [], 0
    for at in comparable:
        other = others[at]
        part = alike[:, :, start : start + len(other.boxes)]
        start += len(other.boxes)
        shift = _shift(new, other, part)
        if shift is not None:
            found += [(mine, at, theirs) for mine, theirs in _pairs(new, other, shift)]
    return found


def _shift(
    new: SeenField, other: SeenField, alike: NDArray[np.float32]
) -> tuple[float, float] | None:
    """Return by how much the other field's content lies elsewhere, or None: another place."""
    best: tuple[float, int, int] | None = None
    for mine, theirs in np.argwhere(alike.max(axis=0) >= _ALIKE_PATCHES).tolist():
        way = _WAYS[int(alike[:, mine, theirs].argmax())]
        here, there = new.boxes[mine].centre, other.boxes[theirs].centre
        right, down = (
            round(other.shrink * (b - a)) - moved
            for a, b, moved in zip(here, there, way, strict=True)
        )
        if _agreement(new, other, right, down).correlation < _PROMISING:
            continue
        agreement, right, down = max(
            (_agreement(new, other, right + x, down + y), right + x, down + y)
            for x, y in product((-1, 0, 1), repeat=2)
        )
        if _believed(agreement, _agreement(new, other, right, down, around=True)):
            best = max(best or (0.0, 0, 0), (agreement.surprise, right, down))
    return (best[1] / other.shrink, best[2] / other.shrink) if best else None


def _believed(whole: _Agreement, around: _Agreement) -> bool:
    return (
        whole.correlation >= LEAST_AGREEMENT
        and whole.surprise >= LEAST_SURPRISE
        and around.correlation >= _LEAST_AROUND
        and around.surprise >= _LEAST_AROUND_SURPRISE
        and around.shown >= _LEAST_SHOWN
    )


def _agreement(
    new: SeenField, other: SeenField, right: int, down: int, *, around: bool = False
) -> _Agreement:
    """Return how well two looks agree under a shift; `around`: without the cells of both."""
    shape = new.look.pixels.shape
    height, width = shape[0] - abs(down), shape[1] - abs(right)
    if height < _PATCH or width < _PATCH:
        return _Agreement(0.0, 0.0, 0.0)
    y, x = max(0, -down), max(0, -right)
    here = np.s_[y : y + height, x : x + width]
    there = np.s_[y + down : y + down + height, x + right : x + right + width]
    a, b = new.look.pixels[here], other.look.pixels[there]
    if around:
        both = new.bare[here] & other.bare[there]
        a, b = a[both], b[both]
    if not a.size:
        return _Agreement(0.0, 0.0, 0.0)
    shown = min(np.count_nonzero(a), np.count_nonzero(b)) / a.size
    a, b = a.astype(np.float32), b.astype(np.float32)
    a -= a.mean()
    b -= b.mean()
    scale = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    correlation = float(np.vdot(a, b)) / scale if scale else 0.0
    grain = max(new.look.grain, other.look.grain)
    return _Agreement(correlation, correlation * float(np.sqrt(a.size / grain)), shown)


def _pairs(new: SeenField, other: SeenField, shift: tuple[float, float]) -> list[tuple[int, int]]:
    """Return which boxes lie at the same place, each with the nearest of the other field."""
    pairs = []
    for mine, box in enumerate(new.boxes):
        x, y = (middle + moved for middle, moved in zip(box.centre, shift, strict=True))
        apart = [np.hypot(b.centre[0] - x, b.centre[1] - y) for b in other.boxes]
        theirs = int(np.argmin(apart))
        if apart[theirs] <= _SAME_PLACE * max(box.width, box.height):
            pairs.append((mine, theirs))
    return pairs
