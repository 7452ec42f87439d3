"""Frames, spools and settings for tests of the edge agent."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from hemaline_edge.settings import EdgeSettings
from hemaline_edge.spool.records import NewFrame, Slide, SourceMark
from hemaline_edge.spool.spool import Spool
from hemaline_shared.ids import closing_id, new_id
from hemaline_shared.messages import (
    Attachment,
    FieldMessage,
    QualityReport,
    Receipt,
    RejectedMessage,
    SlideClosedMessage,
)
from hemaline_shared.packing import FieldImages, pack, sha256_hex
from hemaline_shared.pixels.types import RgbImage

QUOTA = 50 * 1024**2


OPENED: list[Spool] = []
"""Closed by a fixture after each test, for an unclosed database is a warning."""


def open_spool(directory: Path, quota_bytes: int = QUOTA) -> Spool:
    spool = Spool(directory, quota_bytes, disk_floor_bytes=0)
    OPENED.append(spool)
    return spool


def _common(slide: Slide) -> dict:
    return {
        "message_id": new_id(),
        "slide_id": slide.slide_id,
        "specimen_id": slide.specimen_id,
        "site": "lab",
        "device": "scope",
        "edge_version": "1",
        "sequence": slide.frames,
        "captured_at": datetime.now(UTC),
        "source": "folder",
    }


def new_field(slide: Slide, size: int = 1000, mark: SourceMark | None = None) -> NewFrame:
    """A field with images of about so many bytes."""
    images = pack(FieldImages(np.random.default_rng(size).bytes(size), ()))
    message = FieldMessage(
        **_common(slide),
        pixel_pipeline="1",
        finder="none",
        width=10,
        height=10,
        um_per_px=0.1,
        scale_source="assumed",
        quality=QualityReport(),
        cells=(),
        images=Attachment(size=len(images), sha256=sha256_hex(images), inline=images),
    )
    return NewFrame(message, images, (mark,) if mark else (), "a test")


def new_rejection(slide: Slide) -> NewFrame:
    quality = QualityReport(reasons=("out-of-focus",))
    message = RejectedMessage(**_common(slide), quality=quality, thumbnail=b"jpeg")
    return NewFrame(message, None, (), "blurred.jpg")


def new_rejection_with(slide: Slide, thumbnail_px: int) -> NewFrame:
    """A rejection with a real thumbnail, noisy and so of many bytes."""
    frame = new_rejection(slide)
    noise = np.random.default_rng(1).integers(0, 255, (thumbnail_px, thumbnail_px, 3), np.uint8)
    thumbnail = cv2.imencode(".jpg", noise)[1].tobytes()
    message = frame.message.model_copy(update={"thumbnail": thumbnail})
    return replace(frame, message=message)


def closing(slide: Slide) -> SlideClosedMessage:
    return SlideClosedMessage(
        message_id=closing_id(slide.slide_id),
        slide_id=slide.slide_id,
        specimen_id=slide.specimen_id,
        site="lab",
        device="scope",
        edge_version="1",
        frames=slide.frames,
    )


def receipt_of(frame: NewFrame, outcome: str = "stored", **other: object) -> Receipt:
    """What the cloud says of a frame that came whole, but for what is given."""
    message = frame.message
    sha256 = message.images.sha256 if isinstance(message, FieldMessage) else None
    said = {"message_id": message.message_id, "outcome": outcome, "sha256": sha256}
    return Receipt.model_validate(said | other)


def spooled(spool: Spool, size: int = 1000, label: str = "A") -> NewFrame:
    """Put one more field on a slide."""
    frame = new_field(spool.open_slide("test", label), size)
    spool.put(frame)
    return frame


def smear(seed: int = 0, width: int = 640, height: int = 480) -> RgbImage:
    """A cartoon of red cells and one nucleus that the quality gate takes for a good field."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), (235, 225, 215), np.uint8)
    for x, y in rng.integers(0, (width, height), (60, 2)).tolist():
        cv2.circle(image, (x, y), 34, (205, 130, 120), -1, cv2.LINE_AA)
        cv2.circle(image, (x, y), 12, (220, 170, 160), -1, cv2.LINE_AA)
    x, y = rng.integers(100, (width - 100, height - 100)).tolist()
    cv2.circle(image, (x, y), 55, (190, 160, 200), -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), 40, (95, 45, 130), -1, cv2.LINE_AA)
    noise = rng.normal(0, 2, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8)


def save(path: Path, image: RgbImage) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


def edge_settings(folder: Path, source: dict, **more: object) -> EdgeSettings:
    """Settings of a device whose spool lies in the folder."""
    return EdgeSettings(
        **{
            "site": "lab",
            "device": "scope",
            "source": source,
            "spool": {"path": folder / "spool", "disk_floor_bytes": 0},
            **more,
        }
    )
