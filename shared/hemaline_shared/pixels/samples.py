"""From the samples that a file holds to 8-bit RGB: depth, transparency, parts never written."""

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage

_BRIGHT = 0.35
"""A bright-field picture's lightest pixels reach this part of the range; the quality gate refuses
what is darker. So a 16-bit file that would be too dark, and is not at 12 bits, holds 12 bits."""

_LIT = 0.9
"""A row is lit where so many of its samples are not zero."""

_HIDDEN = 8
_MOST = 0.75
_A_PICTURE = 4.0
"""An alpha of at most `_HIDDEN` over `_MOST` of the pixels hides a picture where their colours
differ by more than this (standard deviation): behind true transparency is one colour."""


def to_eight_bits(samples: NDArray[np.generic], depth: int | None = None) -> NDArray[np.uint8]:
    """Scale samples by their depth, never by their content: a slide's fields stay comparable.

    Args:
        samples: Any shape, 8 or 16 bits each.
        depth: The bits that are used; None: all of them, unless the content shows that a camera
            of 10, 12 or 14 bits has put its samples into 16 as they were.
    """
    if samples.dtype == np.uint8 and depth in {None, 8}:
        return np.array(samples, np.uint8)
    used = _depth_by_content(samples) if depth is None else depth
    whole = samples.astype(np.uint16)
    if used < 8:
        largest = (1 << used) - 1
        return np.array(np.minimum(whole.astype(np.uint32) * 255 // largest, 255), np.uint8)
    return np.array(np.minimum(np.right_shift(whole, used - 8), 255), np.uint8)


def over_white(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], *, premultiplied: bool = False
) -> RgbImage:
    """Lay colours over white by their alpha.

    An alpha that is the same everywhere, or that would hide a picture, says nothing: software that
    never draws transparency fills it with zeros as well as with 255, and a scale bar drawn into
    such a picture brings its own.
    """
    if alpha.min() == alpha.max() or _hides_a_picture(rgb, alpha):
        return np.ascontiguousarray(rgb)
    opaque = alpha[..., np.newaxis].astype(np.uint32)
    colours = rgb.astype(np.uint32) * (255 if premultiplied else opaque)
    mixed = (colours + 255 * (255 - opaque) + 127) // 255
    return np.array(np.minimum(mixed, 255), np.uint8)


def _hides_a_picture(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> bool:
    hidden = rgb[alpha <= _HIDDEN]
    most = len(hidden) >= _MOST * alpha.size
    return most and float(hidden.std(axis=0).max()) > _A_PICTURE


def has_hole(samples: NDArray[np.generic], tile: tuple[int, int] | None = None) -> bool:
    """Whether rows hold nothing but zeros where a picture goes on: a copy that is not finished.

    A file of raw pixels may have its full size long before its content. A camera's black is never
    exactly zero over a whole row; a caption's or letterbox's may be, and does not count: next to
    a caption the rows are not lit across, and bars stand above and below alike.

    Args:
        samples: Colours of shape (height, width, samples), as they lie in the file.
        tile: Height and width of the tiles that the file is written in, where it is not by rows.
    """
    if tile and (tile[0] > 1 or tile[1] < samples.shape[1]):
        share = _shares_of_tiles(samples, *tile)
    else:
        share = np.count_nonzero(samples, axis=1) / samples.shape[1]
    return any(_channel_has_hole(share[:, channel]) for channel in range(min(3, share.shape[1])))


def _shares_of_tiles(samples: NDArray[np.generic], height: int, width: int) -> NDArray[np.float64]:
    """Return what part of each tile is not zero, in the file's order; shape (tiles, samples)."""
    shares = []
    for top in range(0, samples.shape[0], height):
        for left in range(0, samples.shape[1], width):
            piece = samples[top : top + height, left : left + width]
            shares.append(np.count_nonzero(piece, axis=(0, 1)) / piece[..., 0].size)
    return np.array(shares)


def _channel_has_hole(share: NDArray[np.float64]) -> bool:
    height = len(share)
    empty = np.concatenate([[0], share == 0, [0]]).astype(np.int8)
    starts, ends = (np.flatnonzero(np.diff(empty) == step) for step in (1, -1))
    if not len(starts):
        return False
    # The row at a hole's edge may be half written, so the one beyond it is asked, too.
    above = [start <= 1 or share[max(0, start - 2) : start].max() >= _LIT for start in starts]
    below = [end == height or share[end : end + 2].max() >= _LIT for end in ends]
    bars = starts[0] == 0 and ends[-1] == height and abs(ends[0] - (height - starts[-1])) <= 2
    first, last = (1, len(starts) - 1) if bars and len(starts) > 1 else (0, len(starts))
    return any(above[run] and below[run] for run in range(first, last))


def _depth_by_content(samples: NDArray[np.generic]) -> int:
    largest = int(samples.max(initial=0))
    for depth in (8, 10, 12, 14):  # 8: a program has widened what a camera of 8 bits gave
        if largest < 1 << depth:
            bright = float(np.percentile(samples[::4, ::4].astype(np.float32), 99))
            return depth if bright >= _BRIGHT * (1 << depth) else 16
    return 16
