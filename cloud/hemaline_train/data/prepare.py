"""Turn samples into pixels, through the same code that a microscope's frames go through."""

import hashlib
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.model_manifest import View
from hemaline_shared.pixels.crops import cut_crop
from hemaline_shared.pixels.leukocytes import ClassicalFinder
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION
from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.squeeze import squeeze_field
from hemaline_shared.pixels.types import Box, Leukocyte, RgbImage, Scale
from hemaline_train.data.catalogue import data_set_at
from hemaline_train.data.pictures import read_picture
from hemaline_train.data.samples import Sample, read_samples

_KEYS = ".keys"
"""Beside each file of pixels: whose they are, a line each."""
_NEAR_MIDDLE_UM = 4.0
"""A finder's cell further from the middle than this is a neighbour, not the labelled cell."""


def prepare(samples: Sequence[Sample], cache: Path) -> NDArray[np.uint8]:
    """Return all samples' pixels, shape (n, CROP_PX, CROP_PX, 3), cached where they were before.

    Args:
        samples: At least one.
        cache: A directory; each set of samples and pipeline version has its own file in it. Samples
            that another set had too are taken from there: a verdict on one label cuts none anew.

    Raises:
        PermanentError: An image cannot be read; the message names the file.
    """
    keys = [_key(sample) for sample in samples]
    file = cache / f"{hashlib.sha256(repr(keys).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        before = _cut_before(set(keys), cache)
        pixels = np.stack(
            [
                before[key] if key in before else pixels_of(sample)
                for key, sample in zip(keys, samples, strict=True)
            ]
        )
        file.with_suffix(_KEYS).write_text("\n".join(keys) + "\n")
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".npy", delete=False) as draft:
            np.save(draft, pixels)
        Path(draft.name).replace(file)
    return np.asarray(np.load(file, mmap_mode="r"), np.uint8)


def _cut_before(keys: Collection[str], cache: Path) -> dict[str, NDArray[np.uint8]]:
    """Return key -> pixels of those samples that other sets' files hold already."""
    found: dict[str, NDArray[np.uint8]] = {}
    for listed in sorted(cache.glob(f"*{_KEYS}")):
        held, pixels = listed.read_text().split(), listed.with_suffix(".npy")
        if not pixels.exists() or not any(key in keys and key not in found for key in held):
            continue
        whole = np.load(pixels, mmap_mode="r")
        if len(whole) == len(held):
            found |= {key: whole[row] for row, key in enumerate(held) if key in keys}
    return found


def prepare_folder(
    folder: Path, cache: Path, view: View, um_per_px: float | None
) -> tuple[list[Sample], NDArray[np.uint8]]:
    """Return the samples of a known set's folder, or of a lab's own, and their pixels.

    Args:
        folder: Of the data set.
        cache: As for `prepare`.
        view: Of a lab's own set, as for `data_set_at`.
        um_per_px: Of a lab's own set, as for `data_set_at`.

    Raises:
        PermanentError: The data set is unknown, or a manifest or an image cannot be read.
    """
    samples = read_samples(data_set_at(folder, view, um_per_px), folder)
    return samples, prepare(samples, cache)


def pixels_of(sample: Sample) -> RgbImage:
    """Return one sample's pixels, shape (CROP_PX, CROP_PX, 3).

    Raises:
        PermanentError: The image cannot be read; the message names the file.
    """
    image = read_picture(sample.path)
    if sample.data_set.mask is not None:
        image = _masked(image, sample.data_set.mask)
    if sample.data_set.view == "field":
        return squeeze_field(image)
    scale = (
        estimate_scale(image) if sample.um_per_px is None else Scale(sample.um_per_px, "configured")
    )
    box = sample.box or _box_near_middle(image, scale)
    return cut_crop(image, Leukocyte(box, 1.0), 0, scale).pixels


def _box_near_middle(image: RgbImage, scale: Scale) -> Box:
    """Return the found cell nearest the middle, or, where none is near, the middle itself."""
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    found = [
        (float(np.hypot(*(np.array(cell.box.centre) - middle))), cell.box)
        for cell in ClassicalFinder().find(image, scale)
    ]
    distance, box = min(found, key=lambda one: one[0], default=(np.inf, None))
    if box is not None and distance * scale.um_per_px <= _NEAR_MIDDLE_UM:
        return box
    x, y = (int(value) for value in middle)
    return Box(x - 1, y - 1, x + 1, y + 1)


def _masked(image: RgbImage, corner: tuple[int, int]) -> RgbImage:
    """Blank what lies right of and below a corner with the image's median colour."""
    left, top = corner
    masked = image.copy()
    masked[top:, left:] = np.median(image[::4, ::4].reshape(-1, 3), axis=0).astype(np.uint8)
    return masked


def _key(sample: Sample) -> str:
    """Return what decides a sample's pixels, as a hash."""
    stamp = sample.path.stat() if sample.path.exists() else None
    size = (stamp.st_size, stamp.st_mtime_ns) if stamp else None
    by = (PIXEL_PIPELINE_VERSION, ClassicalFinder.name, sample.path, size, *_cut_by(sample))
    return hashlib.sha256(repr(by).encode()).hexdigest()[:32]


def _cut_by(sample: Sample) -> tuple[object, ...]:
    """Return what decides a sample's pixels beside its image."""
    if sample.data_set.view == "field":
        # A field is squeezed whole, whatever its scale.
        return (sample.data_set.view, sample.data_set.mask)
    return (sample.box, sample.um_per_px, sample.data_set.mask)
