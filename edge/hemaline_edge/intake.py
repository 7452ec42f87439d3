"""From a captured frame to a message in the spool: judge, preprocess, pack, put."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hemaline_edge.capture.frame import CapturedFrame, CaptureMemory, SourceKind, UnusableFrame
from hemaline_edge.encoding import encode_and_prove
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.presence import EDGE_VERSION
from hemaline_edge.quality import QualityGate, QualityLimits
from hemaline_edge.sameness import Sameness
from hemaline_edge.scales import DeviceScales
from hemaline_edge.settings import EdgeSettings
from hemaline_edge.spool.records import NewFrame, Slide, SourceMark
from hemaline_shared.errors import PermanentError, TransientError
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
from hemaline_shared.packing import sha256_hex
from hemaline_shared.pixels.encode import encode_thumbnail
from hemaline_shared.pixels.leukocytes import finder_of_kind
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION, preprocess
from hemaline_shared.pixels.types import CellCrop, Field, RgbImage

logger = logging.getLogger(__name__)

_LONGEST_NAME = 100

_PICTURE = "picture"
"""The scope of marks that tell where a picture was captured first."""

_NOT_ENCODED_YET = Attachment(size=0, sha256="0" * 64, inline=b"")


@dataclass(frozen=True, slots=True, eq=False)
class JudgedFrame:
    """A frame of which is known what becomes of it; its images are not encoded yet.

    Attributes:
        field: None for a frame that gives no field; then `message` says why.
        message: What is to be told; a field's lacks its images.
        marks: What to remember with it.
        note: For the person at this device; see `NewFrame`.
    """

    frame: CapturedFrame | UnusableFrame
    message: FrameMessage
    field: Field | None = None
    marks: tuple[SourceMark, ...] = ()
    note: str = ""


class Intake:
    """Makes one message of each frame. Knows the stages of a frame, and nothing of threads.

    Names of files may hold patients' names, so the log has only ids; `hemaline-edge spool` tells
    the person at the device which files they belong to.
    """

    def __init__(
        self, settings: EdgeSettings, kind: SourceKind, metrics: EdgeMetrics, memory: CaptureMemory
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._metrics = metrics
        self._memory = memory
        self._gate = QualityGate(settings.quality)
        self._finder = finder_of_kind(settings.finder)
        self._sameness = Sameness()
        self._scales = DeviceScales(settings.spool.path, settings.um_per_px)

    def limit(self, limits: QualityLimits) -> None:
        """Judge by other limits from the next frame on; any thread may ask."""
        self._gate.limit(limits)

    def judge(self, frame: CapturedFrame | UnusableFrame, slide: Slide) -> JudgedFrame:
        """Say what becomes of a frame: a field, a rejection or a quarantine.

        Once for each frame: the quality gate compares it with the one before.
        """
        if isinstance(frame, UnusableFrame):
            return self._quarantined(frame, slide, frame.reason, frame.detail)
        try:
            digest = _digest(frame.image)
            self._sameness.add(digest)
            return self._repeated(frame, slide, digest) or self._judged(frame, slide, digest)
        except PermanentError as error:
            return self._quarantined(frame, slide, error.reason, str(error))
        except TransientError:
            raise
        except Exception as error:  # one odd picture must not stop a microscope
            logger.exception("frame %s could not be processed", frame.frame_id)
            detail = f"processing failed: {type(error).__name__}"
            return self._quarantined(frame, slide, "processing-failed", detail)

    def pack(self, judged: JudgedFrame) -> NewFrame:
        """Return what the spool is to keep of a frame.

        Raises:
            TransientError: `encoding-failed`; the device did not read back what it had encoded.
        """
        images = None
        if judged.field:
            with self._timed("encode"):
                images = encode_and_prove(judged.field)
            self._metrics.cells.inc(len(judged.field.cells))
        message = judged.message if images is None else _with_images(judged.message, images)
        self._tell(message)
        return NewFrame(message, images, judged.marks, judged.frame.origin, judged.note)

    def _tell(self, message: FrameMessage) -> None:
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

    def picture_problem(self) -> str | None:
        """Say that the source shows one picture again and again; any thread may ask."""
        return self._sameness.problem()

    def closing(self, slide: Slide) -> SlideClosedMessage:
        """Return the message that a slide is at its end."""
        return SlideClosedMessage(
            message_id=closing_id(slide.slide_id),
            slide_id=slide.slide_id,
            specimen_id=slide.specimen_id,
            site=self._settings.site,
            device=self._settings.device,
            edge_version=EDGE_VERSION,
            slide_name=self._slide_name(slide),
            priority=slide.priority,
            frames=slide.frames,
        )

    def _repeated(self, frame: CapturedFrame, slide: Slide, digest: str) -> JudgedFrame | None:
        """Refuse a picture that was captured before, under whatever name: its cells count once."""
        first = self._memory.seen(_PICTURE, digest) if frame.marks else None
        if first is None:
            return None
        quality = QualityReport(reasons=("repeated-picture",))
        note = f"the same picture as {first}"
        return self._rejected(frame, slide, quality, note)

    def _judged(self, frame: CapturedFrame, slide: Slide, digest: str) -> JudgedFrame:
        with self._timed("quality"):
            scale, own = self._scales.scale_of(frame.image, slide.slide_id)
            quality = self._gate.judge(frame.image, str(slide.slide_id), scale.um_per_px)
        if not quality.accepted:
            return self._rejected(frame, slide, quality)
        with self._timed("preprocess"):
            field = preprocess(frame.image, self._finder, scale)
        self._scales.keep(frame.image, slide.slide_id, scale, own)
        marks = frame.marks
        if marks:
            marks = (*marks, SourceMark(_PICTURE, digest, frame.origin))
        return JudgedFrame(frame, self._field(frame, slide, field, quality), field, marks)

    def _field(
        self, frame: CapturedFrame, slide: Slide, field: Field, quality: QualityReport
    ) -> FieldMessage:
        height, width = field.image.shape[:2]
        return FieldMessage(
            **self._common(frame, slide),
            pixel_pipeline=PIXEL_PIPELINE_VERSION,
            finder=self._finder.name,
            width=width,
            height=height,
            um_per_px=field.scale.um_per_px,
            scale_source=field.scale.source,
            scale_fields=field.scale.fields,
            scale_spread=field.scale.spread,
            quality=quality,
            cells=tuple(map(_record, field.cells)),
            images=_NOT_ENCODED_YET,
        )

    def _rejected(
        self, frame: CapturedFrame, slide: Slide, quality: QualityReport, note: str = ""
    ) -> JudgedFrame:
        thumbnail = encode_thumbnail(frame.image)
        message = RejectedMessage(
            **self._common(frame, slide), quality=quality, thumbnail=thumbnail
        )
        return JudgedFrame(frame, message, marks=frame.marks, note=note)

    def _quarantined(
        self, frame: CapturedFrame | UnusableFrame, slide: Slide, reason: str, detail: str
    ) -> JudgedFrame:
        common = self._common(frame, slide)
        message = QuarantinedMessage(**common, reason=reason, detail=detail[:1000])
        return JudgedFrame(frame, message, marks=frame.marks)

    def _slide_name(self, slide: Slide) -> str | None:
        return slide_name(slide.label) if self._settings.send_slide_names else None

    def _common(self, frame: CapturedFrame | UnusableFrame, slide: Slide) -> dict[str, Any]:
        return {
            "message_id": frame.frame_id,
            "slide_id": slide.slide_id,
            "specimen_id": slide.specimen_id,
            "site": self._settings.site,
            "device": self._settings.device,
            "edge_version": EDGE_VERSION,
            "slide_name": self._slide_name(slide),
            "priority": slide.priority,
            "sequence": slide.frames,
            "captured_at": frame.captured_at,
            "source": self._kind,
        }

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        with self._metrics.stage_seconds.labels(stage).time():
            yield


def _with_images(message: FrameMessage, images: bytes) -> FrameMessage:
    attachment = Attachment(size=len(images), sha256=sha256_hex(images), inline=images)
    return message.model_copy(update={"images": attachment})


def _digest(image: RgbImage) -> str:
    """Return what tells this picture from others, whatever file it came in."""
    return sha256_hex(repr(image.shape).encode() + image.tobytes())


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


def slide_name(label: str) -> str | None:
    """Return a label as a message may carry it: one line of printable text, not too long."""
    text = "".join(letter if letter.isprintable() else " " for letter in label)
    text = " ".join(text.split())
    return f"{text[: _LONGEST_NAME - 1]}…" if len(text) > _LONGEST_NAME else text or None
