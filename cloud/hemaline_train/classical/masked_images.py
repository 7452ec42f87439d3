"""Labelled masks: images whose nucleus and cell somebody has outlined, and how well we match."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import RgbImage
from hemaline_train.classical.masks import CellMasks, Segmenter, dice, to_working_scale
from hemaline_train.data.catalogue import known_data_set
from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.data.manifest_rows import read_rows
from hemaline_train.data.pictures import read_picture
from hemaline_train.judging.metrics import Interval, over_groups_each

_NUCLEUS = 192
"""Masks hold 0 for background, about 128 for cytoplasm, 255 for the nucleus."""
_CELL = 64


@dataclass(frozen=True, slots=True, eq=False)
class MaskedImage:
    """An image with its labelled masks, at its own scale."""

    image: RgbImage
    um_per_px: float
    masks: CellMasks
    group: str


def read_masked_images(folder: Path, split: str) -> list[MaskedImage]:
    """Read a part of a data set whose manifest has a column `mask`.

    Raises:
        PermanentError: The manifest or a picture cannot be read.
    """
    described = known_data_set(folder.name)
    return [
        MaskedImage(
            read_picture(folder / row["file"]),
            described.um_per_px(row) or 0.1,
            _read_masks(folder / row["mask"]),
            row["group"],
        )
        for _, row in read_rows(folder / MANIFEST_NAME, ("file", "split", "group", "mask"))
        if row["split"] == split
    ]


def segment_whole(segmenter: Segmenter, image: RgbImage, um_per_px: float) -> CellMasks:
    """Segment an image of any scale; the masks have the image's own size."""
    found = segmenter(to_working_scale(image, um_per_px))
    height, width = image.shape[:2]

    def back(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        resized = cv2.resize(mask.astype(np.float32), (width, height))
        return np.asarray(resized > 0.5, bool)

    return CellMasks(back(found.nucleus), back(found.cell))


def measure_masks(
    segmenter: Segmenter, images: Sequence[MaskedImage], resamples: int = 500
) -> dict[str, Interval]:
    """Return the mean Dice of nucleus and of cell, with intervals over groups."""
    pairs = np.array(
        [
            (dice(found.nucleus, one.masks.nucleus), dice(found.cell, one.masks.cell))
            for one in images
            for found in (segment_whole(segmenter, one.image, one.um_per_px),)
        ]
    )
    return over_groups_each(
        {
            "dice_nucleus": lambda at: float(pairs[at, 0].mean()),
            "dice_cell": lambda at: float(pairs[at, 1].mean()),
        },
        [one.group for one in images],
        resamples,
    )


def _read_masks(file: Path) -> CellMasks:
    shades = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if shades is None:
        raise PermanentError("image-missing", f"{file} cannot be read as a mask.")
    values = np.asarray(shades, np.uint8)
    return CellMasks(np.asarray(values >= _NUCLEUS, bool), np.asarray(values >= _CELL, bool))
