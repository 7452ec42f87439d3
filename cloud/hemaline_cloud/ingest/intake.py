"""The first stage: a delivery becomes a verified item, or a refusal with its reason."""

import logging
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.frames import find_frames
from hemaline_cloud.ingest.items import (
    Accepted,
    Closing,
    Delivery,
    FrameIdentity,
    Granted,
    Heard,
    Item,
    Refused,
    Settled,
)
from hemaline_cloud.ingest.verify import verify_field, verify_frame, verify_told
from hemaline_cloud.objects.keys import field_key, upload_key
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.cbor import read_cbor
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.messages import (
    FieldMessage,
    SlideClosedMessage,
    Status,
    Telemetry,
    UploadGrant,
    UploadRequest,
    decode,
    decode_up,
)
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import Channel, DeviceName, parse_topic

logger = logging.getLogger(__name__)


class Intake:
    """Reads and verifies one message at a time; safe to call from many threads."""

    def __init__(self, settings: IngestSettings, engine: Engine, store: ObjectStore) -> None:
        self._max_upload_bytes = settings.max_upload_bytes
        self._grant_s = settings.upload_grant_s
        self._engine = engine
        self._store = store

    def take(self, delivery: Delivery) -> Item:
        """Return what the message turns into; one that is wrong for good becomes `Refused`.

        Raises:
            TransientError: The database or the object store was asked, and is away.
        """
        try:
            return self._read(delivery)
        except PermanentError as error:
            return _refuse(delivery, error)
        except TransientError:
            raise
        except MemoryError as error:
            raise TransientError("out-of-memory", "no memory to decode an image") from error
        except Exception as error:  # one message that no decoder foresaw must not stop the others
            logger.exception("a message on %s met a fault of ours", delivery.inbound.topic)
            fault = PermanentError("unexpected", f"{type(error).__name__} while it was verified")
            return _refuse(delivery, fault)

    def _read(self, delivery: Delivery) -> Item:
        payload = delivery.inbound.payload
        name, channel = parse_topic(delivery.inbound.topic)
        if channel is Channel.FIELD:
            return self._read_up(delivery, name)
        if channel is Channel.STATUS:
            return _heard(delivery, name, decode(Status, payload))
        if channel is Channel.TELEMETRY:
            return _heard(delivery, name, decode(Telemetry, payload))
        if channel is Channel.UPLOAD_REQUEST:
            return Granted(delivery, name, self._grant(name, decode(UploadRequest, payload)))
        raise PermanentError("unknown-topic", f"{channel} is not what devices say")

    def _read_up(self, delivery: Delivery, name: DeviceName) -> Item:
        message = decode_up(delivery.inbound.payload)
        verify_frame(name, message)
        if isinstance(message, SlideClosedMessage):
            return Closing(delivery, name, message)
        if not isinstance(message, FieldMessage):
            return Settled(delivery, name, message)
        key = field_key(name, message.message_id, message.images.sha256)
        if message.images.inline is not None:
            packed: bytes | None = message.images.inline
        else:
            packed = self._claim(name, message)
        if packed is not None:
            verify_field(message, packed)
        return Accepted(delivery, name, message, packed, key)

    def _claim(self, name: DeviceName, message: FieldMessage) -> bytes | None:
        """Fetch what the device uploaded; None where an earlier delivery was settled with it."""
        key = upload_key(name, message.message_id)
        if message.images.object_key != key:
            raise PermanentError(
                "foreign-upload", f"{name} claims an upload that is not this frame's: {key}"
            )
        if message.images.size > self._max_upload_bytes:
            raise PermanentError(
                "wrong-size", f"{message.images.size} bytes; at most {self._max_upload_bytes}"
            )
        with unit_of_work(self._engine) as connection:
            known = find_frames(connection, [message.message_id]).get(message.message_id)
        if known and known.object_sha256 == message.images.sha256:
            return None
        try:
            return self._store.get(key, at_most=message.images.size)
        except PermanentError as error:
            reason = "upload-missing" if error.reason == "object-missing" else "wrong-size"
            raise PermanentError(reason, str(error)) from error

    def _grant(self, name: DeviceName, request: UploadRequest) -> UploadGrant:
        if request.size > self._max_upload_bytes:
            refusal = f"{request.size} bytes; at most {self._max_upload_bytes} can be uploaded"
            return UploadGrant(message_id=request.message_id, refusal=refusal, permanent=True)
        key = upload_key(name, request.message_id)
        try:
            url = self._store.presign_put(key, size=request.size, expires_s=self._grant_s)
        except PermanentError as error:
            return UploadGrant(message_id=request.message_id, refusal=str(error))
        return UploadGrant(message_id=request.message_id, object_key=key, url=url)


def _heard(delivery: Delivery, name: DeviceName, message: Status | Telemetry) -> Heard:
    verify_told(name, message)
    return Heard(delivery, name, message)


def _refuse(delivery: Delivery, error: PermanentError) -> Refused:
    """Gather what can still be trusted of a message that is wrong."""
    name, channel = _sender(delivery)
    content = _content(delivery.inbound.payload)
    message_id = content.get("message_id")
    images = content.get("images")
    sha256 = images.get("sha256") if isinstance(images, dict) else None
    upload = images.get("object_key") if isinstance(images, dict) else None
    inline = images.get("inline") if isinstance(images, dict) else None
    frame = _frame(content)
    trusted = frame is not None and name == _name_of(frame)
    own_upload = upload_key(name, frame.message_id) if name and frame and trusted else None
    return Refused(
        delivery,
        name,
        channel,
        error.reason,
        # PostgreSQL's text takes every character but this one.
        str(error).replace("\0", "")[:1000],
        message_id=message_id if isinstance(message_id, UUID) else _correlation(delivery),
        frame=frame if trusted else None,
        sha256=sha256 if isinstance(sha256, str) else None,
        inline_sha256=sha256_hex(inline) if isinstance(inline, bytes) else None,
        upload=own_upload if upload == own_upload else None,
    )


def _sender(delivery: Delivery) -> tuple[DeviceName | None, Channel | None]:
    try:
        return parse_topic(delivery.inbound.topic)
    except PermanentError:
        return None, None


def _name_of(frame: FrameIdentity) -> DeviceName | None:
    try:
        return frame.name
    except PermanentError:
        return None


def _content(payload: bytes) -> dict[object, object]:
    try:
        content = read_cbor(payload)
    except PermanentError:  # it was refused already; this only looks for what is left
        return {}
    return content if isinstance(content, dict) else {}


def _frame(content: dict[object, object]) -> FrameIdentity | None:
    try:
        return FrameIdentity.model_validate(content)
    except ValidationError:
        return None


def _correlation(delivery: Delivery) -> UUID | None:
    try:
        return UUID((delivery.inbound.correlation or b"").decode())
    except ValueError:
        return None
