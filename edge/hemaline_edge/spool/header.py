"""A spooled message without its images: what the entry's row holds, and how it becomes whole."""

import cbor2

from hemaline_shared.messages import (
    SCHEMA_VERSION,
    Attachment,
    QuarantinedMessage,
    UpMessage,
)


def header_of(message: UpMessage) -> bytes:
    """Return the message as CBOR, without its attachment: that is chosen when sending."""
    return cbor2.dumps({"v": SCHEMA_VERSION, **message.model_dump(exclude={"images"})})


def whole_message(header: bytes, attachment: Attachment | None) -> bytes:
    """Return the payload to publish.

    It keeps the schema version it was spooled with, for an update of the agent must not change
    what an older one has captured.
    """
    if attachment is None:
        return header
    return cbor2.dumps({**cbor2.loads(header), "images": attachment.model_dump()})


def as_quarantined(header: bytes, reason: str, detail: str) -> QuarantinedMessage:
    """Return the message that takes a frame's place when its images are damaged."""
    content = cbor2.loads(header)
    changed = {"kind": "quarantined", "reason": reason, "detail": detail}
    return QuarantinedMessage.model_validate({**content, **changed})
