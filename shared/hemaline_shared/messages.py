"""The messages on the wire: CBOR of one pydantic model each, with a schema version."""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from uuid import UUID

import cbor2
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from hemaline_shared.cbor import read_cbor
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import closing_id
from hemaline_shared.pixels.types import Box, ScaleSource

SCHEMA_VERSION = 1
CONTENT_TYPE = "application/vnd.hemaline+cbor"
MAX_CELLS = 200
MAX_RECEIPTS = 500

Reason: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
_Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
_Pixels: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]
_Count: TypeAlias = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Stored: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""A number that the database keeps in a column of four bytes."""
_Seconds: TypeAlias = Annotated[float, Field(ge=0, le=1e9)]
_Edge: TypeAlias = Annotated[int, Field(ge=0, le=100_000)]
Detail: TypeAlias = Annotated[str, Field(max_length=1000)]


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("only printable characters, and not only spaces")
    return text


Text100: TypeAlias = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]


class WireModel(BaseModel):
    """Unknown fields are ignored, so that an older reader understands a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class QualityReport(WireModel):
    """What the quality gate measured, and why it said no (empty: the frame is good)."""

    measures: dict[str, float] = Field(default_factory=dict, max_length=32)
    reasons: tuple[Reason, ...] = Field(default=(), max_length=32)

    @property
    def accepted(self) -> bool:
        """Whether the frame goes on."""
        return not self.reasons


class CellRecord(WireModel):
    """One found white cell: its place in `Attachment`'s crops, its box in the field's pixels."""

    index: int = Field(ge=0, lt=MAX_CELLS)
    left: _Edge
    top: _Edge
    right: _Edge
    bottom: _Edge
    confidence: float = Field(ge=0, le=1)

    @property
    def box(self) -> Box:
        """The box in pixels of the field."""
        return Box(self.left, self.top, self.right, self.bottom)


class Attachment(WireModel):
    """A field's images, packed by `hemaline_shared.packing`: inline, or by claim check.

    Exactly one of `inline` and `object_key` is set.
    """

    size: _Stored
    sha256: _Sha256
    inline: bytes | None = None
    object_key: str | None = Field(default=None, max_length=512)

    @model_validator(mode="after")
    def _one_way(self) -> "Attachment":
        if (self.inline is None) == (self.object_key is None):
            raise ValueError("an attachment is either inline or claimed by its object key")
        return self


class _FromDevice(WireModel):
    """What every message about a slide names.

    `slide_name` is what people at the laboratory call the slide: it never names a patient.
    `priority` is the laboratory's word: a `stat` slide is read before routine ones.
    """

    message_id: UUID
    slide_id: UUID
    specimen_id: UUID
    site: Name
    device: Name
    edge_version: str = Field(max_length=64)
    slide_name: Text100 | None = None
    priority: Literal["routine", "stat"] = "routine"


class _FromFrame(_FromDevice):
    """What every captured frame names. Its `message_id` is the frame's id."""

    sequence: _Stored
    captured_at: AwareDatetime
    source: Literal["folder", "camera", "simulator"]


class FieldMessage(_FromFrame):
    """A good frame: its preprocessed field with the cells that were found in it."""

    kind: Literal["field"] = "field"
    pixel_pipeline: str = Field(max_length=32)
    finder: str = Field(max_length=64)
    width: _Pixels
    height: _Pixels
    um_per_px: float = Field(ge=0.001, le=10)
    scale_source: ScaleSource
    scale_fields: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """Of how many fields of the device the red cells gave the scale; None: it is not pooled."""
    scale_spread: float | None = Field(default=None, ge=0)
    """How far these fields lie apart: their standard deviation as a part of the scale."""
    quality: QualityReport
    cells: tuple[CellRecord, ...] = Field(max_length=MAX_CELLS)
    images: Attachment


class RejectedMessage(_FromFrame):
    """A frame that the quality gate refused: its reasons and a thumbnail, no more."""

    kind: Literal["rejected"] = "rejected"
    quality: QualityReport
    thumbnail: bytes = Field(max_length=128 * 1024)


class QuarantinedMessage(_FromFrame):
    """Something that was captured but is no image we can use; the edge keeps the original."""

    kind: Literal["quarantined"] = "quarantined"
    reason: Reason
    detail: Detail


class SlideClosedMessage(_FromDevice):
    """The slide is at its end: so many frames were captured, whatever became of each."""

    kind: Literal["slide-closed"] = "slide-closed"
    frames: _Stored

    @model_validator(mode="after")
    def _id_follows_from_slide(self) -> "SlideClosedMessage":
        if self.message_id != closing_id(self.slide_id):
            raise ValueError("message_id of slide-closed must be closing_id(slide_id)")
        return self


FrameMessage: TypeAlias = FieldMessage | RejectedMessage | QuarantinedMessage
UpMessage: TypeAlias = FrameMessage | SlideClosedMessage
"""What travels on a device's `field` topic."""


class Receipt(WireModel):
    """The cloud's word on one message, after all of it is stored for good.

    `stored`: in the ledger. `quarantined`: refused, and kept whole among the dead letters.
    `parked`: too new for this cloud, and kept whole until a cloud runs that can read it.
    `sha256` is that of the images as the cloud stored them; None where the message has none, or
    where none could be found in it. A device deletes its copy only where it is that of its own.
    """

    message_id: UUID
    outcome: Literal["stored", "quarantined", "parked"]
    sha256: _Sha256 | None = None
    reason: Reason | None = None
    detail: Detail | None = None


class Receipts(WireModel):
    """What travels on a device's `receipt` topic: one message answers many."""

    receipts: tuple[Receipt, ...] = Field(min_length=1, max_length=MAX_RECEIPTS)


class UploadRequest(WireModel):
    """A device asks where to put the images of one frame that are too large to go inline."""

    message_id: UUID
    size: int = Field(gt=0, le=2**31 - 1)
    sha256: _Sha256


class UploadGrant(WireModel):
    """Where to PUT them (a short-lived address), or why not.

    A `permanent` refusal is never lifted: the frame is quarantined by its device. Any other
    passes: the device asks again later.
    """

    message_id: UUID
    object_key: str | None = None
    url: str | None = None
    refusal: Detail | None = None
    permanent: bool = False


class Status(WireModel):
    """Retained birth and Last Will of a device; both carry the session they belong to."""

    online: bool
    session: int = Field(ge=1, le=2**31 - 1)
    edge_version: str = Field(max_length=64)
    at: AwareDatetime
    stopped: bool = False
    """Whether the agent ended in good order; a Last Will never says so."""
    spool_id: _Count = 0
    """Which spool the session is counted in: it is another one after the spool was emptied."""
    address: str = Field(default="", max_length=45)
    """The device's own address on the way to the broker; a Last Will has none."""


class Telemetry(WireModel):
    """How a device is doing: what it captured since its first day, and what waits in its spool.

    Its ages are measured without the device's clock, which may be set to anything.
    """

    at: AwareDatetime
    session: _Count
    captured: _Count
    rejected: _Count
    quarantined: _Count
    receipted: _Count
    refused: _Count
    spool_frames: _Count
    spool_bytes: _Count
    spool_quota_bytes: _Count
    oldest_spooled_at: AwareDatetime | None
    disk_free_bytes: _Count
    spool_unreadable: _Count = 0
    """Messages of the spool that cannot be read now."""
    spool_kept: _Count = 0
    """Files with images of frames that were quarantined at the device, for a person to decide."""
    spool_kept_bytes: _Count = 0
    problems: tuple[Name, ...] = Field(default=(), max_length=32)
    """Which of the device's readiness checks say that something is wrong."""
    number: _Count = 0
    """Which of the session's it is, from 1: a device's clock says nothing about the order."""
    spool_id: _Count = 0
    """As of `Status`."""
    period_s: _Seconds | None = None
    """How often the device tells."""
    capture_age_s: _Seconds | None = None
    """How long ago it captured; None: not since it was started."""
    receipt_age_s: _Seconds | None = None
    """How long ago it heard a receipt; None: not since it was started."""
    receipt_wait_s: _Seconds | None = None
    """For how long it has waited for a receipt while the broker took its messages; None: it waits
    for none."""
    temperature_c: float | None = Field(default=None, ge=-100, le=300)
    """Of the computer's hottest place; None: it does not tell."""


_UP: TypeAdapter[UpMessage] = TypeAdapter(
    Annotated[UpMessage, Field(discriminator="kind")],
)
_M = TypeVar("_M", bound=WireModel)


def encode(message: WireModel) -> bytes:
    """Return the message as CBOR, its schema version beside its fields."""
    return cbor2.dumps({"v": SCHEMA_VERSION, **message.model_dump()})


def decode(kind: type[_M], payload: bytes) -> _M:
    """Read a message of a known kind.

    Raises:
        PermanentError: `not-cbor`, `unknown-version` or `invalid-message`.
    """
    try:
        return kind.model_validate(_read(payload))
    except ValidationError as error:
        raise _invalid(error) from error


def decode_up(payload: bytes) -> UpMessage:
    """Read what came on a device's `field` topic; raises as `decode` does."""
    try:
        return _UP.validate_python(_read(payload))
    except ValidationError as error:
        raise _invalid(error) from error


def _read(payload: bytes) -> dict[str, Any]:
    content = read_cbor(payload)
    if not isinstance(content, dict):
        raise PermanentError("invalid-message", "the payload is CBOR but not a map")
    version = content.get("v")
    if version != SCHEMA_VERSION:
        raise PermanentError(
            "unknown-version",
            f"the message has schema version {version!r}; this side reads {SCHEMA_VERSION}",
        )
    return content


def _invalid(error: ValidationError) -> PermanentError:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    text = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems[:5])
    return PermanentError("invalid-message", text[:1000])
