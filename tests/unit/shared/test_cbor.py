"""Reading CBOR: what our messages are made of, and nothing else that CBOR can say."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import cbor2
import pytest

from hemaline_shared.cbor import read_cbor
from hemaline_shared.errors import PermanentError

OURS = {0: "2026-01-02T03:04:05Z", 37: bytes(16)}
MEANINGFUL = {
    1: 0,
    2: b"\x01",
    3: b"\x01",
    4: [1, 2],
    5: [1, 2],
    28: [],
    30: [1, 2],
    52: bytes(4),
    54: bytes(16),
    100: 1,
    256: [],
    258: ["a"],
    260: bytes(4),
    261: {bytes(4): 8},
    1004: "2026-01-02",
    43000: [1, 2],
}
"""What other tags stand before, where they mean something to cbor2."""


def bomb(levels):
    """Lists that hold the one before twice, by reference: 2 ** levels items in a few bytes."""
    parts = [b"\xd8\x1c\x80"]
    for level in range(levels):
        reference = b"\xd8\x1d" + cbor2.dumps(level)
        parts.append(b"\xd8\x1c\x82" + reference + reference)
    return bytes([0x98, len(parts)]) + b"".join(parts)


def test_everything_that_a_message_holds_is_read():
    content = {
        "id": UUID(int=7),
        "at": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2))),
        "images": {"inline": b"bytes", "key": None},
        "cells": [{"left": -1, "confidence": 0.5}, {"left": 2**64 - 1}],
        "online": True,
    }
    assert read_cbor(cbor2.dumps(content)) == content


def is_read(payload):
    try:
        read_cbor(payload)
    except PermanentError:
        return False
    return True


def test_no_other_tag_is_read_whatever_it_stands_before():
    for tag in [*range(70_000), 2**32, 2**64 - 1]:
        before = {**OURS, **MEANINGFUL}.get(tag, "a")
        assert is_read(cbor2.dumps(cbor2.CBORTag(tag, before))) is (tag in OURS), tag


def test_lists_lie_in_each_other_sixteen_deep_at_most():
    assert is_read(b"\x81" * 16 + b"\x00")
    assert not is_read(b"\x81" * 17 + b"\x00")


@pytest.mark.parametrize(
    "payload",
    [
        cbor2.dumps(10**5000),
        cbor2.dumps({"v": -(2**70)}),
        bomb(3),
        b"\xa1" + bomb(60) + b"\x00",
        cbor2.dumps({(1, 2): 3}),
        b"\x81" * 20 + b"\x00",
        b"\x9b" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8,
        b"\x63\xed\xa0\x80",
    ],
    ids=[
        "endless-number",
        "number-in-a-map",
        "reference",
        "reference-bomb-as-key",
        "list-as-key",
        "too-deep",
        "list-longer-than-memory",
        "bytes-longer-than-memory",
        "lone-surrogate",
    ],
)
def test_what_could_stop_a_reader_is_refused_at_once(payload):
    with pytest.raises(PermanentError) as refused:
        read_cbor(payload)
    assert refused.value.reason == "not-cbor"


def test_a_time_keeps_its_zone():
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert read_cbor(cbor2.dumps(at)).utcoffset() == timedelta(0)
