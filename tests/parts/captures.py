"""Messages as an edge sends them, with images that decode."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np

from hemaline_shared.ids import closing_id, new_id
from hemaline_shared.messages import (
    Attachment,
    CellRecord,
    FieldMessage,
    QualityReport,
    QuarantinedMessage,
    RejectedMessage,
    SlideClosedMessage,
)
from hemaline_shared.packing import FieldImages, pack, sha256_hex
from hemaline_shared.pixels.encode import encode_crop, encode_field, encode_thumbnail
from hemaline_shared.topics import DeviceName

WIDTH, HEIGHT, CROP = 320, 240, 224
SCOPE = DeviceName("lab", "scope-1")


def picture(width: int, height: int, seed: int = 0) -> Any:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    image = np.repeat(np.tile(ramp, (height, 1))[:, :, np.newaxis], 3, axis=2)
    return np.roll(image, seed % width, axis=1)


def images(count: int = 2, seed: int = 0) -> FieldImages:
    crop = encode_crop(picture(CROP, CROP, seed))
    return FieldImages(encode_field(picture(WIDTH, HEIGHT, seed)), (crop,) * count)


def attach(packed: bytes) -> Attachment:
    return Attachment(size=len(packed), sha256=sha256_hex(packed), inline=packed)


@dataclass(frozen=True)
class Slide:
    """One slide on one device, and the messages about it."""

    name: DeviceName = SCOPE
    slide_id: UUID = field(default_factory=new_id)
    specimen_id: UUID = field(default_factory=new_id)

    def of(self, name: DeviceName) -> "Slide":
        return replace(self, name=name)

    def field(self, sequence: int = 0, count: int = 2, **changes: Any) -> FieldMessage:
        content = {
            **self._frame(sequence),
            "pixel_pipeline": "1",
            "finder": "test-1",
            "width": WIDTH,
            "height": HEIGHT,
            "um_per_px": 0.1,
            "scale_source": "configured",
            "quality": QualityReport(measures={"blur": 1.5, "density": 0.8}),
            "cells": tuple(cell(index) for index in range(count)),
            "images": attach(pack(images(count, sequence))),
        }
        return FieldMessage.model_validate(content | changes)

    def rejected(self, sequence: int = 0, **changes: Any) -> RejectedMessage:
        content = {
            **self._frame(sequence),
            "quality": QualityReport(
                measures={"blur": 9.5, "density": 0.8}, reasons=("out-of-focus", "dark")
            ),
            "thumbnail": encode_thumbnail(picture(WIDTH, HEIGHT)),
        }
        return RejectedMessage.model_validate(content | changes)

    def quarantined(self, sequence: int = 0, **changes: Any) -> QuarantinedMessage:
        content = {**self._frame(sequence), "reason": "truncated", "detail": "it ends too early"}
        return QuarantinedMessage.model_validate(content | changes)

    def closed(self, frames: int) -> SlideClosedMessage:
        return SlideClosedMessage(
            message_id=closing_id(self.slide_id), frames=frames, **self._from_device()
        )

    def _from_device(self) -> dict[str, Any]:
        return {
            "slide_id": self.slide_id,
            "specimen_id": self.specimen_id,
            "site": self.name.site,
            "device": self.name.device,
            "edge_version": "0.1.0",
        }

    def _frame(self, sequence: int) -> dict[str, Any]:
        return {
            "message_id": new_id(),
            "sequence": sequence,
            "captured_at": datetime.now(UTC),
            "source": "simulator",
            **self._from_device(),
        }


def cell(index: int, left: int = 0) -> CellRecord:
    return CellRecord(
        index=index, left=left, top=index, right=left + 60, bottom=index + 60, confidence=0.9
    )
