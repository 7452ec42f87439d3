"""The first stage: a delivery becomes a verified item, or a refusal with its reason."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.frames import find_frames
from hemaline_cloud.ingest.items import (
    Accepted,
    Claimed,
    Closing,
    Delivery,
    DeviceReport,
    EndedAtEdge,
    FrameIdentity,
    Granted,
    Item,
    Refused,
)
from hemaline_cloud.ingest.uploads import Uploads
from hemaline_cloud.ingest.verify import verify_field, verify_frame, verify_told
from hemaline_cloud.objects.keys import field_key, upload_key
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.cbor import read_cbor
from hemaline_shared.device_commands import CommandResult
from hemaline_shared.device_configuration import ReportedConfiguration
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.messages import (
    SCHEMA_VERSION,
    FieldMessage,
    SlideClosedMessage,
    Status,
    Telemetry,
    UploadRequest,
    decode,
    decode_up,
)
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import Channel, DeviceName, parse_topic

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_NEWEST_VERSION = 1000  # of a schema that anybody will write; beyond it is nonsense, not news


class Intake:
    """Reads and verifies one message at a time; safe to call from many threads."""

    def __init__(
        self, settings: IngestSettings, engine: Engine, store: ObjectStore, uploads: Uploads
    ) -> None:
        self._max_upload_bytes = settings.max_upload_bytes
        self._engine = engine
        self._store = store
        self._uploads = uploads
        self._budget = _Budget(settings.claim_bytes)

    def take(self, delivery: Delivery) -> Item | Claimed:
        """Return what the message turns into; one that is wrong for good becomes `Refused`.

        Raises:
            TransientError: The object store was asked, and is away.
        """
        return _attempt(delivery, lambda: self._read(delivery))

    def fetch(self, claimed: Claimed) -> Item:
        """Fetch what the device uploaded, verify it and store it for good.

        Nothing of it is held in memory afterwards: all that fetch at once share a budget.

        Raises:
            TransientError: The database or the object store is away.
        """
        return _attempt(claimed.delivery, lambda: self._fetch(claimed))

    def _read(self, delivery: Delivery) -> Item | Claimed:
        payload = delivery.inbound.payload
        name, channel = parse_topic(delivery.inbound.topic)
        if channel is Channel.FIELD:
            return self._read_up(delivery, name)
        if channel is Channel.STATUS:
            return _report(delivery, name, decode(Status, payload))
        if channel is Channel.TELEMETRY:
            return _report(delivery, name, decode(Telemetry, payload))
        if channel is Channel.CONFIG_REPORTED:
            return DeviceReport(delivery, name, decode(ReportedConfiguration, payload))
        if channel is Channel.COMMAND_RESULT:
            return DeviceReport(delivery, name, decode(CommandResult, payload))
        if channel is Channel.UPLOAD_REQUEST:
            request = decode(UploadRequest, payload)
            return Granted(delivery, name, self._uploads.grant(name, request))
        raise PermanentError("unknown-topic", f"{channel} is not what devices say")

    def _read_up(self, delivery: Delivery, name: DeviceName) -> Item | Claimed:
        message = decode_up(delivery.inbound.payload)
        verify_frame(name, message)
        if isinstance(message, SlideClosedMessage):
            return Closing(delivery, name, message)
        if not isinstance(message, FieldMessage):
            return EndedAtEdge(delivery, name, message)
        packed = message.images.inline
        if packed is None:
            self._verify_claim(name, message)
            return Claimed(delivery, name, message)
        verify_field(message, packed)
        return Accepted(delivery, name, message, packed, _key_of(name, message))

    def _verify_claim(self, name: DeviceName, message: FieldMessage) -> None:
        key = upload_key(name, message.message_id)
        if message.images.object_key != key:
            raise PermanentError(
                "foreign-upload", f"{name} claims an upload that is not this frame's: {key}"
            )
        if message.images.size > self._max_upload_bytes:
            raise PermanentError(
                "wrong-size", f"{message.images.size} bytes; at most {self._max_upload_bytes}"
            )

    def _fetch(self, claimed: Claimed) -> Item:
        message = claimed.message
        key = _key_of(claimed.name, message)
        with unit_of_work(self._engine) as connection:
            known = find_frames(connection, [message.message_id]).get(message.message_id)
        if not known or known.object_sha256 != message.images.sha256:
            with self._budget.reserved(message.images.size):
                packed = self._get_upload(claimed)
                verify_field(message, packed)
                self._store.put(key, packed)
        return Accepted(claimed.delivery, claimed.name, message, None, key)

    def _get_upload(self, claimed: Claimed) -> bytes:
        key = upload_key(claimed.name, claimed.message.message_id)
        try:
            return self._store.get(key, at_most=claimed.message.images.size)
        except PermanentError as error:
            reason = "upload-missing" if error.reason == "object-missing" else "wrong-size"
            raise PermanentError(reason, str(error)) from error


class _Budget:
    """So many bytes at once; whoever wants more than there are in all gets them alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


def _key_of(name: DeviceName, message: FieldMessage) -> str:
    return field_key(name, message.message_id, message.images.sha256)


def _report(delivery: Delivery, name: DeviceName, message: Status | Telemetry) -> DeviceReport:
    verify_told(name, message)
    return DeviceReport(delivery, name, message)


def _attempt(delivery: Delivery, read: Callable[[], _T]) -> _T | Refused:
    try:
        return read()
    except PermanentError as error:
        return _refuse(delivery, error)
    except TransientError:
        raise
    except MemoryError as error:
        raise TransientError("out-of-memory", "no memory to read a message") from error
    except Exception as error:  # one message that nobody foresaw must not stop the others
        logger.exception("a message on %s met a fault of ours", delivery.inbound.topic)
        fault = PermanentError("unexpected", f"{type(error).__name__} while it was verified")
        return _refuse(delivery, fault)


def _refuse(delivery: Delivery, error: PermanentError) -> Refused:
    """Gather what can still be trusted of a message that is wrong."""
    name, channel = _sender(delivery)
    content = _content(delivery.inbound.payload)
    message_id, images = content.get("message_id"), content.get("images")
    images = images if isinstance(images, dict) else {}
    sha256, inline = images.get("sha256"), images.get("inline")
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
        needs_version=_newer_version(content) if error.reason == "unknown-version" else None,
        upload=own_upload if images.get("object_key") == own_upload else None,
    )


def _newer_version(content: dict[object, object]) -> int | None:
    version = content.get("v")
    is_newer = type(version) is int and SCHEMA_VERSION < version <= _NEWEST_VERSION
    return version if is_newer and isinstance(version, int) else None


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
