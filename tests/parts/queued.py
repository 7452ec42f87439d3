"""Fields in the queue as ingest leaves them: rows in PostgreSQL, packed images in the store."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import cv2
import numpy as np
from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.frames import (
    CellRow,
    FieldRow,
    FrameRow,
    record_fields,
    record_frames,
)
from hemaline_cloud.database.slides import SlideRow, open_slides
from hemaline_cloud.database.work import enqueue
from hemaline_cloud.objects.keys import field_key
from hemaline_cloud.objects.store import ObjectStore
from hemaline_shared.ids import cell_id, new_id
from hemaline_shared.packing import FieldImages, pack, sha256_hex
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION
from hemaline_shared.pixels.types import Box
from hemaline_shared.topics import DeviceName

_DEVICE = DeviceName("lab", "scope-1")
FIELD_JPEG = encode_field(np.full((48, 64, 3), 200, np.uint8))

STATES = "select state, reason, count(*) from frames group by 1, 2 order by 1, 2"
EACH_CELL = """(
    select frame_id, bundle, place - 1 as index, label, probability, disagreement
    from cell_predictions, unnest(string_to_array(labels, ','), probabilities, disagreements)
        with ordinality as each (label, probability, disagreement, place)) predicted"""
PREDICTIONS = f"select count(*), count(distinct (frame_id, index)) from {EACH_CELL}"
"""What became of the queued fields, and of their cells."""


def smooth_crops(count: int, seed: int = 0) -> list[np.ndarray]:
    """Crops with soft coloured noise: they compress about as real cells do."""
    random = np.random.default_rng(seed)
    shape = (count, CROP_PX, CROP_PX, 3)
    return [
        cv2.GaussianBlur(noise, (9, 9), 0) for noise in random.integers(0, 256, shape, np.uint8)
    ]


def queue_field(
    engine: Engine,
    store: ObjectStore,
    crops: Sequence[np.ndarray],
    *,
    slide_id: UUID | None = None,
    packed: bytes | None = None,
    shows: tuple[np.ndarray, Sequence[Box]] | None = None,
    sequence: int = 0,
    pixel_pipeline: str = PIXEL_PIPELINE_VERSION,
) -> UUID:
    """Queue one field; `packed` takes the place of the honest images.

    `shows` is the field's picture with its cells' boxes; else it is blank, its cells in the middle.
    """
    picture, boxes = shows or (None, [Box(8, 8, 56, 40)] * len(crops))
    jpeg = FIELD_JPEG if picture is None else encode_field(picture)
    height, width = (48, 64) if picture is None else picture.shape[:2]
    frame_id = new_id()
    slide = SlideRow(slide_id or uuid4(), uuid4(), _DEVICE.site, _DEVICE.device)
    if packed is None:
        packed = pack(FieldImages(jpeg, tuple(encode_crop(crop) for crop in crops)))
    sha256 = sha256_hex(packed)
    key = field_key(_DEVICE, frame_id, sha256)
    store.put(key, packed)
    now = datetime.now(UTC)
    frame = FrameRow(
        frame_id=frame_id,
        slide_id=slide.slide_id,
        site=slide.site,
        device=slide.device,
        sequence=sequence,
        source="simulator",
        edge_version="0.1.0",
        captured_at=now,
        received_at=now,
        state="pending",
        quality={},
    )
    field = FieldRow(
        frame_id, slide.site, width, height, 0.1, "configured", pixel_pipeline, "classical-1", key,
        len(packed), sha256,
    )  # fmt: skip
    cells = [
        CellRow(
            cell_id(frame_id, index),
            frame_id,
            slide.site,
            index,
            box.left,
            box.top,
            box.right,
            box.bottom,
            0.9,
        )
        for index, box in enumerate(boxes)
    ]
    with unit_of_work(engine) as connection:
        open_slides(connection, [(slide, now)])
        record_frames(connection, [frame])
        record_fields(connection, [field], cells)
        enqueue(connection, [frame_id])
    return frame_id


def object_file(root: Path, frame_id: UUID) -> Path:
    """Where a directory store keeps a field's packed images."""
    (file,) = [path for path in root.rglob(f"{frame_id}-*") if path.is_file()]
    return file
