"""Gets a leased field's pictures from the object store and decodes them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.results import other_objects
from hemaline_cloud.database.work import LeasedField
from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.runtime import Crops
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.retrying import Retrier
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.packing import sha256_hex, unpack
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.decode import ImageLimits, decode_image
from hemaline_shared.pixels.repeats import Look
from hemaline_shared.pixels.squeeze import squeeze_field
from hemaline_shared.pixels.types import RgbImage

_CROP_SHAPE = (CROP_PX, CROP_PX, 3)


@dataclass(frozen=True, slots=True)
class HeldField:
    """A field that this worker holds: its place in the queue, and its cells in crop order."""

    lease: LeasedField
    cell_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True, eq=False)
class ReadField:
    """A held field with the crops of its cells; the squeezed field itself may be the last.

    Attributes:
        look: By which the field's place is known again, packed; None of a field without cells.
    """

    held: HeldField
    crops: Crops
    look: bytes | None = None


def read_field(store: ObjectStore, held: HeldField, *, whole: bool = False) -> ReadField:
    """Return a field with its crops, and `whole` with its own picture after them.

    Every picture is decoded here, down to the last pixel, also those that the networks are not
    asked about: ingest looks at structure and hashes only, and people see the field.

    Raises:
        PermanentError: `object-missing`, `object-changed`, `invalid-images`, `invalid-cells`,
            `wrong-field-size`, `wrong-crop-size` or one of `decode_image`.
        TransientError: The object store does not answer, or there is no memory to decode in.
    """
    lease = held.lease
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
            "invalid-cells",
            f"The field has {len(held.cell_ids)} cells and {len(images.crops)} crops.",
        )
    crops = _decode_crops(images.crops)
    cells = len(crops)
    picture = _decode("The field", "wrong-field-size", images.field, lease.width, lease.height)
    if whole:
        crops = np.concatenate([crops, squeeze_field(picture)[np.newaxis]])
    return ReadField(held, crops, Look.of(picture).pack() if cells else None)


class FieldReader:
    """Reads held fields from the store, for as long as it takes; safe to call from many threads."""

    def __init__(
        self, store: ObjectStore, engine: Engine, retrier: Retrier, *, whole: bool
    ) -> None:
        """Args are as `read_field`'s; the ledger in `engine` tells of other fields' objects."""
        self._store = store
        self._engine = engine
        self._retrier = retrier
        self._whole = whole

    def read(self, held: HeldField) -> ReadField:
        """Return a field with its crops.

        Raises:
            PermanentError: As `read_field`.
            StoppedError: The store is away while the worker stops.
        """
        started = time.monotonic()
        read = self._retrier.retry_until_ok(lambda: self._read(held))
        metrics.SECONDS.labels("read").inc(time.monotonic() - started)
        return read

    def _read(self, held: HeldField) -> ReadField:
        try:
            return read_field(self._store, held, whole=self._whole)
        except PermanentError as error:
            if error.reason != "object-missing":
                raise
            self._require_other_objects(held.lease)
        # They may have come back together with this one: look once more before it is blamed.
        return read_field(self._store, held, whole=self._whole)

    def _require_other_objects(self, lease: LeasedField) -> None:
        """Tell a lost object from a store that is empty or another one, where all are missing."""
        with unit_of_work(self._engine) as connection:
            others = other_objects(connection, lease.frame_id)
        if others and not any(self._store.exists(key) for key in others):
            raise TransientError(
                "object-store-unavailable",
                f"Object {lease.object_key} is missing, and so are those of {len(others)} other "
                "fields: this is not the store that they were put into. Mount it, or mend "
                "HEMALINE_OBJECTS.",
            )


def _decode_crops(crops: Sequence[bytes]) -> Crops:
    decoded = np.empty((len(crops), *_CROP_SHAPE), np.uint8)
    for index, crop in enumerate(crops):
        name = f"Crop {index}"
        decoded[index] = _decode(name, "wrong-crop-size", crop, CROP_PX, CROP_PX)
    return decoded


def _decode(what: str, wrong_size: str, encoded: bytes, width: int, height: int) -> RgbImage:
    """Decode one picture, which may cost no more memory than its announced size does."""
    try:
        pixels = decode_image(encoded, ImageLimits(max_pixels=width * height))
    except MemoryError as error:
        raise TransientError("out-of-memory", "no memory to decode an image") from error
    except PermanentError as error:
        raise PermanentError(error.reason, f"{what}: {error}") from error
    if pixels.shape != (height, width, 3):
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise PermanentError(wrong_size, f"{what} has {size} pixels, not {width}x{height}.")
    return pixels
