"""From a captured frame to a message in the spool: judge, preprocess, pack, put."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hemaline_edge.capture.frame import CapturedFrame, SourceKind, UnusableFrame
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.presence import EDGE_VERSION
from hemaline_edge.quality import QualityGate
from hemaline_edge.settings import EdgeSettings
from hemaline_edge.spool.records import NewFrame, Slide
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import closing_id
from hemaline_shared.messages import (
    Attachment,
    CellRecord,
    FieldMessage,
    FrameMessage,
    QualityReport,
    QuarantinedMessage,
    RejectedMessage,
    SlideClosedMessage,
)
from hemaline_shared.packing import FieldImages, pack, sha256_hex
from hemaline_shared.pixels.encode import encode_crop, encode_field, encode_thumbnail
from hemaline_shared.pixels.leukocytes import finder_of_kind
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION, preprocess
from hemaline_shared.pixels.types import CellCrop, Field

logger = logging.getLogger(__name__)


class Intake:
    """Makes one message of each frame. Knows the stages of a frame, and nothing of threads.

    Names of files may hold patients' names, so the log has only ids; `hemaline-edge spool` tells
    the person at the device which files they belong to.
    """

    def __init__(self, settings: EdgeSettings, kind: SourceKind, metrics: EdgeMetrics) -> None:
        self._settings = settings
        self._kind = kind
        self._metrics = metrics
        self._gate = QualityGate(settings.quality)
        self._finder = finder_of_kind(settings.finder)

    def prepare(self, frame: CapturedFrame | UnusableFrame, slide: Slide) -> NewFrame:
        """Return what the spool is to keep of a frame: a field, a rejection or a quarantine."""
        message, images = self._message(frame, slide)
        if message.kind == "quarantined":
            self._metrics.quarantined.labels(message.reason).inc()
            logger.error("frame %s cannot be used: %s", message.message_id, message.detail)
        elif message.kind == "rejected":
            for reason in message.quality.reasons:
                self._metrics.rejected.labels(reason).inc()
            logger.warning(
                "frame %s is rejected: %s",
                message.message_id,
                ", ".join(message.quality.reasons),
            )
        return NewFrame(message, images, frame.mark, frame.origin)

    def closing(self, slide: Slide) -> SlideClosedMessage:
        """Return the message that a slide is at its end."""
        return SlideClosedMessage(
            message_id=closing_id(slide.slide_id),
            slide_id=slide.slide_id,
            specimen_id=slide.specimen_id,
            site=self._settings.site,
            device=self._settings.device,
            edge_version=EDGE_VERSION,
            frames=slide.frames,
        )

    def _message(
        self, frame: CapturedFrame | UnusableFrame, slide: Slide
    ) -> tuple[FrameMessage, bytes | None]:
        if isinstance(frame, UnusableFrame):
            return self._quarantined(frame, slide, frame.reason, frame.detail), None
        try:
            return self._judged(frame, slide)
        except PermanentError as error:
            return self._quarantined(frame, slide, error.reason, str(error)), None
        except Exception as error:  # one odd picture must not stop a microscope
            logger.exception("frame %s could not be processed", frame.frame_id)
            detail = f"processing failed: {type(error).__name__}"
            return self._quarantined(frame, slide, "processing-failed", detail), None

    def _judged(
        self, frame: CapturedFrame, slide: Slide
    ) -> tuple[FieldMessage | RejectedMessage, bytes | None]:
        common = self._common(frame, slide)
        with self._timed("quality"):
            quality = self._gate.judge(frame.image, str(slide.slide_id))
        if not quality.accepted:
            thumbnail = encode_thumbnail(frame.image)
            return RejectedMessage(**common, quality=quality, thumbnail=thumbnail), None
        with self._timed("preprocess"):
            field = preprocess(frame.image, self._finder, self._settings.um_per_px)
        with self._timed("encode"):
            images = _packed(field)
        self._metrics.cells.inc(len(field.cells))
        return self._field(common, field, quality, images), images

    def _field(
        self, common: dict[str, Any], field: Field, quality: QualityReport, images: bytes
    ) -> FieldMessage:
        height, width = field.image.shape[:2]
        return FieldMessage(
            **common,
            pixel_pipeline=PIXEL_PIPELINE_VERSION,
            finder=self._finder.name,
            width=width,
            height=height,
            um_per_px=field.scale.um_per_px,
            scale_source=field.scale.source,
            quality=quality,
            cells=tuple(map(_record, field.cells)),
            images=Attachment(size=len(images), sha256=sha256_hex(images), inline=images),
        )

    def _quarantined(
        self, frame: CapturedFrame | UnusableFrame, slide: Slide, reason: str, detail: str
    ) -> QuarantinedMessage:
        common = self._common(frame, slide)
        return QuarantinedMessage(**common, reason=reason, detail=detail[:1000])

    def _common(self, frame: CapturedFrame | UnusableFrame, slide: Slide) -> dict[str, Any]:
        return {
            "message_id": frame.frame_id,
            "slide_id": slide.slide_id,
            "specimen_id": slide.specimen_id,
            "site": self._settings.site,
            "device": self._settings.device,
            "edge_version": EDGE_VERSION,
            "sequence": slide.frames,
            "captured_at": frame.captured_at,
            "source": self._kind,
        }

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        with self._metrics.stage_seconds.labels(stage).time():
            yield


def _packed(field: Field) -> bytes:
    crops = tuple(encode_crop(cell.pixels) for cell in field.cells)
    return pack(FieldImages(encode_field(field.image), crops))


def _record(cell: CellCrop) -> CellRecord:
    box = cell.box
    return CellRecord(
        index=cell.index,
        left=box.left,
        top=box.top,
        right=box.right,
        bottom=box.bottom,
        confidence=cell.confidence,
    )
