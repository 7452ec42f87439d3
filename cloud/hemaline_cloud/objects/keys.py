"""The one place that spells object keys."""

import re
from datetime import datetime
from uuid import UUID

from hemaline_shared.topics import DeviceName

UPLOADS = "uploads"
"""Below it lies what devices put themselves."""

AUDIT_SEALS = "audit-seals"
"""Below it lie the published seals of the audit; nothing here is ever deleted or put twice."""

KEPT = ("fields", "segments", "dead-letters")
"""Below these lies what rows refer to."""

_SEGMENT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}")
_MAX_LENGTH = 512


def is_key(key: str) -> bool:
    """Whether a text can be a key: no empty, hidden or climbing part in it."""
    return len(key) <= _MAX_LENGTH and all(_SEGMENT.fullmatch(part) for part in key.split("/"))


def field_key(name: DeviceName, frame_id: UUID, sha256: str) -> str:
    """Return where a field's packed images lie for good.

    The hash is part of it, so that another content under a used frame id overwrites nothing.
    """
    return f"fields/{name.site}/{name.device}/{frame_id}-{sha256}"


def upload_folder(name: DeviceName) -> str:
    """Return below which key a device's uploads lie."""
    return f"{UPLOADS}/{name.site}/{name.device}"


def upload_key(name: DeviceName, frame_id: UUID) -> str:
    """Return where a device may put a frame's images, to be claimed by its message."""
    return f"{upload_folder(name)}/{frame_id}"


def audit_seal_key(number: int, sealed: str, at: datetime) -> str:
    """Return where a seal of the audit is published: by its day, its number and its hash."""
    return f"{AUDIT_SEALS}/{at:%Y-%m-%d}/{number:012d}-{sealed}"


def parse_audit_seal_key(key: str) -> tuple[int, str]:
    """Return the number and the hash of a published seal."""
    number, _, sealed = key.rpartition("/")[2].partition("-")
    return int(number), sealed


def dead_letter_key(dead_letter_id: UUID) -> str:
    """Return where a dead letter's payload lies, as it came."""
    return f"dead-letters/{dead_letter_id}"


def dead_upload_key(dead_letter_id: UUID) -> str:
    """Return where the upload lies that a dead letter claimed."""
    return f"dead-letters/{dead_letter_id}.upload"
