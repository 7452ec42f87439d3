"""From the samples that a file holds to 8-bit RGB: depth, transparency, parts never written."""

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.types import RgbImage

_BRIGHT = 0.35
"""A bright-field picture's lightest pixels reach this part of the range; the quality gate refuses
what is darker. So a 16-bit file that would be too dark, and is not at 12 bits, holds 12 bits."""

_LIT = 0.9
"""A row is lit where so many of its samples are not zero."""


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

    An alpha that is the same everywhere says nothing of a picture: software that never draws
    transparency fills it with zeros as well as with 255.
    """
    if alpha.min() == alpha.max():
        return np.ascontiguousarray(rgb)
    opaque = alpha[..., np.newaxis].astype(np.uint32)
    colours = rgb.astype(np.uint32) * (255 if premultiplied else opaque)
    mixed = (colours + 255 * (255 - opaque) + 127) // 255
    return np.array(np.minimum(mixed, 255), np.uint8)


def has_hole(samples: NDArray[np.generic]) -> bool:
    """Whether rows hold nothing but zeros where a picture goes on: a copy that is not finished.

    A file of raw pixels may have its full size long before its content. A camera's black is never
    exactly zero over a whole row; a caption's or letterbox's may be, and does not count: next to
    a caption the rows are not lit across, and bars stand above and below alike.

    Args:
        samples: Colours of shape (height, width, samples), as they lie in the file.
    """
    share = np.count_nonzero(samples, axis=1) / samples.shape[1]
    return any(_channel_has_hole(share[:, channel]) for channel in range(min(3, share.shape[1])))


def _channel_has_hole(share: NDArray[np.float64]) -> bool:
    height = len(share)
    empty = np.concatenate([[0], share == 0, [0]]).astype(np.int8)
    starts, ends = (np.flatnonzero(np.diff(empty) == step) for step in (1, -1))
    if not len(starts):
        return False
    # The row at a hole's edge may be half written, so the one beyond it is asked, too.
    above = [start == 0 or share[max(0, start - 2) : start].max() >= _LIT for start in starts]
    below = [end == height or share[end : end + 2].max() >= _LIT for end in ends]
    bars = starts[0] == 0 and ends[-1] == height and abs(ends[0] - (height - starts[-1])) <= 2
    first, last = (1, len(starts) - 1) if bars and len(starts) > 1 else (0, len(starts))
    return any(above[run] and below[run] for run in range(first, last))


def _depth_by_content(samples: NDArray[np.generic]) -> int:
    largest = int(samples.max(initial=0))
    for depth in (10, 12, 14):
        if 255 < largest < 1 << depth:
            bright = float(np.percentile(samples[::4, ::4].astype(np.float32), 99))
            return depth if bright >= _BRIGHT * (1 << depth) else 16
    return 16
