"""Refuse to train a detector on what judges it: the same group, or a field that looks the same."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_train.data.leakage import refuse_lookalikes, refuse_shared_groups
from hemaline_train.data.manifest import LabelledImage
from hemaline_train.data.pictures import read_picture

_HASHED_PX = 64
"""Fields differ in size; the hash looks at no more than this of any."""

Images = Mapping[str, Sequence[LabelledImage]]


def refuse_leaking_fields(trained: Images, judged: Images) -> None:
    """Check that no group and no picture is both trained on and judged by.

    Args:
        trained: Data set -> its images to train on.
        judged: Data set -> its images to judge by.

    Raises:
        PermanentError: `leak`: the message names groups or files; or an image cannot be decoded.
    """
    refuse_shared_groups(_groups(trained), _groups(judged))
    sides = [[image for images in side.values() for image in images] for side in (trained, judged)]
    images = [*sides[0], *sides[1]]
    pixels = np.stack([_small(image) for image in images])
    first = np.arange(len(images)) < len(sides[0])
    refuse_lookalikes(pixels, first, [image.path for image in images], "fields")


def _groups(side: Images) -> set[str]:
    """Return the groups of all data sets; images of which nobody says the group have none."""
    return {
        f"{name}/group={image.group}"
        for name, images in side.items()
        for image in images
        if image.group
    }


def _small(image: LabelledImage) -> NDArray[np.uint8]:
    size = (_HASHED_PX, _HASHED_PX)
    small = cv2.resize(read_picture(image.path), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
