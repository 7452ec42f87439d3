"""Gets a leased field's pictures from the object store and decodes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from hemaline_cloud.database.work import LeasedField
from hemaline_cloud.inference.runtime import Crops
from hemaline_cloud.objects.store import ObjectStore
from hemaline_shared.errors import PermanentError
from hemaline_shared.packing import sha256_hex, unpack
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.decode import ImageLimits, decode_image
from hemaline_shared.pixels.squeeze import squeeze_field

_CROP_SHAPE = (CROP_PX, CROP_PX, 3)
_CROP_LIMITS = ImageLimits(max_bytes=4 * CROP_PX * CROP_PX * 3, max_pixels=CROP_PX * CROP_PX)


@dataclass(frozen=True, slots=True)
class HeldField:
    """A field that this worker holds: its place in the queue, and its cells in crop order."""

    lease: LeasedField
    cell_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True, eq=False)
class ReadField:
    """A held field with the crops of its cells; the squeezed field itself may be the last."""

    held: HeldField
    crops: Crops


def read_field(
    store: ObjectStore, held: HeldField, pixel_pipeline: str, *, whole: bool = False
) -> ReadField:
    """Return a field with its crops, and `whole` with its own picture after them.

    Where nothing is asked of whole fields, one without cells is not read at all.

    Raises:
        PermanentError: `pixel-pipeline-mismatch`, `object-missing`, `object-changed`,
            `invalid-images`, `crop-count`, `crop-size` or one of `decode_image`.
        TransientError: The object store does not answer.
    """
    lease = held.lease
    if lease.pixel_pipeline != pixel_pipeline:
        raise PermanentError(
            "pixel-pipeline-mismatch",
            f"The field's crops were cut by pixel pipeline {lease.pixel_pipeline}, the model was "
            f"made for {pixel_pipeline}. Update the edge software, or run a worker of that time.",
        )
    if not held.cell_ids and not whole:
        return ReadField(held, np.empty((0, *_CROP_SHAPE), np.uint8))
    packed = store.get(lease.object_key)
    if sha256_hex(packed) != lease.object_sha256:
        raise PermanentError(
            "object-changed",
            f"Object {lease.object_key} is not what was stored: its hash differs. "
            "Restore it from a backup, or capture the field again.",
        )
    images = unpack(packed)
    if len(images.crops) != len(held.cell_ids):
        raise PermanentError(
            "crop-count", f"The field has {len(held.cell_ids)} cells and {len(images.crops)} crops."
        )
    crops = _decode(images.crops)
    if whole:
        picture = squeeze_field(decode_image(images.field))
        crops = np.concatenate([crops, picture[np.newaxis]])
    return ReadField(held, crops)


def _decode(crops: Sequence[bytes]) -> Crops:
    decoded = np.empty((len(crops), *_CROP_SHAPE), np.uint8)
    for index, crop in enumerate(crops):
        pixels = decode_image(crop, _CROP_LIMITS)
        if pixels.shape != _CROP_SHAPE:
            raise PermanentError(
                "crop-size",
                f"Crop {index} has {pixels.shape[1]}x{pixels.shape[0]} pixels, "
                f"not {CROP_PX}x{CROP_PX}.",
            )
        decoded[index] = pixels
    return decoded
