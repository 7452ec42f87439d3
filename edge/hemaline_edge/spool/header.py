"""A message in the spool: its header as CBOR, the whole of it, and what takes its place."""

import sqlite3
import zlib
from datetime import datetime
from typing import Any
from uuid import UUID

import cbor2

from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import SCHEMA_VERSION, Attachment, QuarantinedMessage, UpMessage
from hemaline_shared.topics import DeviceName

ROW_BYTES = 512
"""What an entry costs beside its header and its images, roughly."""


def header_of(message: UpMessage) -> bytes:
    """Return the message as CBOR, without its attachment: that is chosen when sending."""
    return cbor2.dumps({"v": SCHEMA_VERSION, **message.model_dump(exclude={"images"})})


def read_header(row: sqlite3.Row) -> dict[str, Any]:
    """Return what an entry's header says.

    Raises:
        PermanentError: `damaged-in-spool`.
    """
    header, expected = bytes(row["header"]), row["header_crc"]
    try:
        content = cbor2.loads(header)
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise PermanentError("damaged-in-spool", "its header in the spool is unreadable") from error
    if not isinstance(content, dict) or expected not in (None, zlib.crc32(header)):
        raise PermanentError("damaged-in-spool", "its header in the spool is damaged")
    return content


def whole_message(header: bytes, attachment: Attachment | None) -> bytes:
    """Return the payload to publish.

    It keeps the schema version it was spooled with, for an update of the agent must not change
    what an older one has captured.
    """
    if attachment is None:
        return header
    return cbor2.dumps({**cbor2.loads(header), "images": attachment.model_dump()})


def as_quarantined(
    row: sqlite3.Row, name: DeviceName | None, reason: str, detail: str
) -> QuarantinedMessage:
    """Return the message that takes a frame's place when it cannot be sent as it was.

    Args:
        row: Of `entries`, with its slide's `specimen_id`.
        name: This device; None: only what the header itself says is to be used.
        reason: Why.
        detail: A sentence.

    Raises:
        PermanentError: `damaged-in-spool`: the header is damaged, and there is no name.
    """
    changed = {"kind": "quarantined", "reason": reason, "detail": detail}
    try:
        return QuarantinedMessage.model_validate({**read_header(row), **changed})
    except (PermanentError, ValueError) as error:
        if name is None:
            raise PermanentError("damaged-in-spool", "its header is damaged") from error
    return QuarantinedMessage(
        message_id=UUID(row["message_id"]),
        slide_id=UUID(row["slide_id"]),
        specimen_id=UUID(row["specimen_id"]),
        site=name.site,
        device=name.device,
        edge_version="unknown",
        sequence=row["sequence"] or 0,
        captured_at=datetime.fromisoformat(row["spooled_at"]),
        source=row["source"] or "folder",
        reason=reason,
        detail=detail,
    )


def message_size(header: bytes, images: bytes | None) -> int:
    """Return how much of the quota a message takes."""
    return len(header) + len(images or b"") + ROW_BYTES
