"""Refuse a split in which the same patient, slide or picture is on both sides."""

from collections.abc import Sequence, Set
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.data.connected import first_connected
from hemaline_train.data.samples import Sample

HASH_BITS = 256
ALIKE_BITS = 24
"""Hashes of one picture saved twice (JPEG quality 60, other light) differ in at most 20 bits on six
data sets; pictures of different groups differ in 32 or more, of different
patients in 74 or more."""


def refuse_leaks(
    samples: Sequence[Sample], trained: NDArray[np.bool_], pixels: NDArray[np.uint8]
) -> None:
    """Check that no group and no picture is both trained on and judged by.

    Args:
        samples: All of a run.
        trained: Shape (n,): which are trained on.
        pixels: Shape (n, height, width, 3).

    Raises:
        PermanentError: `leak`; the message names groups or files.
    """
    refuse_shared_groups(_groups(samples, trained), _groups(samples, ~trained))
    refuse_lookalikes(pixels, trained, [sample.path for sample in samples], "pictures")


def refuse_shared_groups(trained: Set[str], judged: Set[str]) -> None:
    """Raise PermanentError `leak`, which names groups, if any is on both sides."""
    shared = trained & judged
    if shared:
        raise PermanentError(
            "leak",
            f"{len(shared)} groups are both trained on and judged by, first "
            f"{', '.join(sorted(shared)[:3])}. Put each group on one side of the split.",
        )


def refuse_lookalikes(
    pixels: NDArray[np.uint8], trained: NDArray[np.bool_], files: Sequence[Path], kind: str
) -> None:
    """Refuse pictures that judge and look the same as pictures that train.

    Args:
        pixels: Shape (n, height, width, 3).
        trained: Shape (n,).
        files: Of the n pictures.
        kind: What the message calls them.

    Raises:
        PermanentError: `leak`; the message names files.
    """
    pairs = near_duplicates(pixels, trained)
    if pairs:
        named = "; ".join(f"{files[a]} and {files[b]}" for a, b in pairs[:3])
        raise PermanentError(
            "leak",
            f"{len(pairs)} {kind} judged by look the same as {kind} trained on: {named}. "
            "Put both on one side of the split, or drop one.",
        )


def near_duplicates(pixels: NDArray[np.uint8], trained: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the places (judged, trained) of pictures whose perceptual hashes nearly agree."""
    hashes = np.stack([perceptual_hash(picture) for picture in pixels])
    judged_places, trained_places = np.flatnonzero(~trained), np.flatnonzero(trained)
    signs = hashes * 2.0 - 1
    agreement = signs[judged_places] @ signs[trained_places].T
    apart = (HASH_BITS - agreement) / 2
    return [
        (int(judged_places[a]), int(trained_places[b])) for a, b in np.argwhere(apart <= ALIKE_BITS)
    ]


def perceptual_hash(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the signs, 0 or 1, of 256 low frequencies of a picture (Zauner 2010, DCT hash)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
    low = cv2.dct(np.asarray(small, np.float32))[:17, :17]
    # The first row and column carry brightness and gradients of light, which all fields share.
    frequencies = low[1:, 1:].ravel()
    return np.asarray(frequencies > np.median(frequencies), np.float32)


def connected_groups(samples: Sequence[Sample]) -> list[int]:
    """Number the samples so that any two that share a group of any kind share the number."""
    first = first_connected(
        (group for sample in samples for group in sample.groups),
        ((sample.groups[0], other) for sample in samples for other in sample.groups[1:]),
    )
    numbers: dict[str, int] = {}
    return [numbers.setdefault(first[sample.groups[0]], len(numbers)) for sample in samples]


def _groups(samples: Sequence[Sample], chosen: NDArray[np.bool_]) -> set[str]:
    return {
        group for sample, use in zip(samples, chosen, strict=True) if use for group in sample.groups
    }
