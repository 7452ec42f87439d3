"""What a seal's hash is taken over: the seal before it, its own place, its events in order."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from hemaline_cloud.database.audit import EventRow
from hemaline_cloud.database.audit_seals import SealRow

FORM = 1
"""Events that are spelled in another way have another number; old blocks keep theirs."""

BEFORE_THE_FIRST = "0" * 64


def block_hash(previous: str, seal: SealRow, events: Iterable[EventRow]) -> str:
    """Return a block's SHA-256 in hexadecimal.

    Args:
        previous: The hash of the seal before it; `BEFORE_THE_FIRST` where there is none.
        seal: Its own hash is not looked at.
        events: In the order of blocks.
    """
    digest = hashlib.sha256()
    digest.update(_line([previous, *seal._replace(hash="")]))
    for event in events:
        digest.update(_line(event))
    return digest.hexdigest()


def _line(values: Iterable[Any]) -> bytes:
    """Spell values so that no two sequences are spelled alike: JSON has no raw line feed."""
    # Every id as text, every time in UTC with its microseconds.
    return json.dumps(list(values), default=str, separators=(",", ":")).encode() + b"\n"
