"""Labelled fields as a detector learns from them: absorbance, boxes and kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.stain import FloatImage, optical_density
from hemaline_shared.pixels.types import Box
from hemaline_train.data.manifest import LabelledImage, read_manifest
from hemaline_train.data.pictures import read_picture
from hemaline_train.detector.config import DetectorConfig

FINE_UM_PER_PX = 0.2
"""Finer than the network's view, so that a scene can be enlarged as well as made smaller."""

WHITE, RED, PLATELET = 0, 1, 2
KINDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class LearnedField:
    """One field: `density` of shape (height, width, 3), `boxes` (n, 4) in its pixels, `kinds` (n,).

    Boxes are left, top, right, bottom.
    """

    density: FloatImage
    boxes: NDArray[np.float32]
    kinds: NDArray[np.intp]


def split_images(
    config: DetectorConfig, data: Path
) -> tuple[dict[str, list[LabelledImage]], dict[str, list[LabelledImage]]]:
    """Return the images to train on and those to judge by, of each data set; groups stay whole.

    Raises:
        PermanentError: A manifest cannot be read, or `no-data`: nothing is left to train on, or
            nothing judges.
    """
    trained: dict[str, list[LabelledImage]] = {}
    judged: dict[str, list[LabelledImage]] = {}
    for name in config.data_sets:
        images = read_manifest(data / name)
        candidates = [image for image in images if image.split == "train"]
        judges = {id(image) for image in images if image.split == "val"}
        if config.fold >= 0:
            groups = sorted({image.group for image in candidates})
            kept = set(groups[config.fold % config.folds :: config.folds])
            judges = {id(image) for image in candidates if image.group in kept}
        trained[name] = [image for image in candidates if id(image) not in judges]
        judged[name] = [image for image in images if id(image) in judges]
        if not trained[name]:
            raise PermanentError("no-data", f"{data / name} leaves no image to train on.")
    if not any(judged.values()):
        # Without one, no export can show that its graph answers as the network does.
        sought = "of split val" if config.fold < 0 else f"in part {config.fold} of the groups"
        raise PermanentError(
            "no-data", f"No image judges {config.name}: {', '.join(judged)} has none {sought}."
        )
    return trained, judged


def learned_fields(images: Sequence[LabelledImage]) -> list[LearnedField]:
    """Read fields at `FINE_UM_PER_PX`, with the scale that the pixel pipeline would estimate.

    Raises:
        PermanentError: An image cannot be decoded; the message names the file.
    """
    return [_learned_field(image) for image in images]


def _learned_field(image: LabelledImage) -> LearnedField:
    pixels = read_picture(image.path)
    zoom = estimate_scale(pixels).um_per_px / FINE_UM_PER_PX
    height, width = pixels.shape[:2]
    size = (max(8, round(width * zoom)), max(8, round(height * zoom)))
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)
    labelled = [(WHITE, box) for box in image.white_cells]
    labelled += [(RED if name == "rbc" else PLATELET, box) for name, box in image.others]
    stretch = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    boxes = np.array([_edges(box) for _, box in labelled], np.float32).reshape(-1, 4) * stretch
    return LearnedField(
        optical_density(small), boxes, np.array([kind for kind, _ in labelled], np.intp)
    )


def _edges(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.right, box.bottom
