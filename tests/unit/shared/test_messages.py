"""Messages: what is written reads back, what is wrong is told, what is newer is understood."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import closing_id
from hemaline_shared.messages import (
    Attachment,
    CellRecord,
    FieldMessage,
    QualityReport,
    QuarantinedMessage,
    Receipt,
    Receipts,
    RejectedMessage,
    SlideClosedMessage,
    UploadGrant,
    decode,
    decode_up,
    encode,
)
from hemaline_shared.pixels.types import Box

SLIDE = UUID("01900000-0000-7000-8000-000000000001")
FROM_DEVICE = {
    "message_id": UUID("01900000-0000-7000-8000-000000000002"),
    "slide_id": SLIDE,
    "specimen_id": UUID("01900000-0000-7000-8000-000000000003"),
    "site": "lab-a",
    "device": "scope-1",
    "edge_version": "0.1.0",
}
FROM_FRAME = FROM_DEVICE | {
    "sequence": 7,
    "captured_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "source": "folder",
}
FIELD = FieldMessage.model_validate(
    FROM_FRAME
    | {
        "pixel_pipeline": "1",
        "finder": "classical-1",
        "width": 640,
        "height": 480,
        "um_per_px": 0.1,
        "scale_source": "red-cells",
        "quality": QualityReport(measures={"focus": 0.7}),
        "cells": (CellRecord(index=0, left=1, top=2, right=30, bottom=40, confidence=0.9),),
        "images": Attachment(size=3, sha256="a" * 64, inline=b"abc"),
    }
)
UP = [
    FIELD,
    RejectedMessage.model_validate(
        FROM_FRAME | {"quality": QualityReport(reasons=("too-dark",)), "thumbnail": b"jpeg"}
    ),
    QuarantinedMessage.model_validate(
        FROM_FRAME | {"reason": "truncated", "detail": "half a file"}
    ),
    SlideClosedMessage.model_validate(
        FROM_DEVICE | {"message_id": closing_id(SLIDE), "frames": 12}
    ),
]


@pytest.mark.parametrize("message", UP, ids=lambda message: message.kind)
def test_a_message_reads_back_as_it_was_written(message):
    assert decode_up(encode(message)) == message


def test_receipts_read_back_as_they_were_written():
    receipts = Receipts(
        receipts=(
            Receipt(message_id=SLIDE, outcome="quarantined", reason="wrong-hash", detail="…"),
            Receipt(message_id=FIELD.message_id, outcome="stored", sha256="a" * 64),
        )
    )
    assert decode(Receipts, encode(receipts)) == receipts


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "a" * 101, "\x1b[31m"])
def test_a_slide_s_name_is_printable_and_short(name):
    with pytest.raises(PermanentError, match="slide_name"):
        decode_up(cbor2.dumps(cbor2.loads(encode(FIELD)) | {"slide_name": name}))


def test_a_slide_s_name_and_priority_travel_with_every_message():
    named = FIELD.model_copy(update={"slide_name": "LAB-2026-0418 ä", "priority": "stat"})
    assert decode_up(encode(named)) == named


def test_without_a_word_a_slide_is_routine_and_a_grant_s_refusal_passes():
    assert (FIELD.slide_name, FIELD.priority) == (None, "routine")
    assert not UploadGrant(message_id=SLIDE, refusal="not now").permanent


def test_a_field_that_a_newer_writer_added_is_ignored():
    content = cbor2.loads(encode(FIELD)) | {"invented_later": 1}
    assert decode_up(cbor2.dumps(content)) == FIELD


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not-cbor"),
        (b"\xff\xd8\xff\xe0 a jpeg", "not-cbor"),
        (encode(FIELD)[:-10], "not-cbor"),
        (b"\x81" * 100_000, "not-cbor"),
        (cbor2.dumps([1, 2]), "invalid-message"),
        (cbor2.dumps({"v": 99}), "unknown-version"),
        (cbor2.dumps({"kind": "field"}), "unknown-version"),
        (cbor2.dumps({"v": 1, "kind": "poem"}), "invalid-message"),
        (cbor2.dumps({"v": 1, "kind": "field"}), "invalid-message"),
        (cbor2.dumps(cbor2.loads(encode(FIELD)) | {"um_per_px": float("nan")}), "invalid-message"),
        (cbor2.dumps(cbor2.loads(encode(FIELD)) | {"device": "../else"}), "invalid-message"),
        (cbor2.dumps(cbor2.loads(encode(UP[3])) | {"message_id": SLIDE}), "invalid-message"),
    ],
)
def test_a_bad_payload_is_refused_with_its_reason(payload, reason):
    with pytest.raises(PermanentError) as refused:
        decode_up(payload)
    assert refused.value.reason == reason
    assert len(str(refused.value)) <= 1000


@given(st.binary(max_size=300))
def test_no_bytes_at_all_do_worse_than_a_permanent_error(payload):
    with pytest.raises(PermanentError):
        decode_up(payload)


@pytest.mark.parametrize("both", [{}, {"inline": b"x", "object_key": "k"}])
def test_an_attachment_is_either_inline_or_claimed(both):
    with pytest.raises(ValueError, match="either inline or claimed"):
        Attachment(size=1, sha256="a" * 64, **both)


def test_a_cell_knows_its_box():
    assert FIELD.cells[0].box == Box(1, 2, 30, 40)


@pytest.mark.parametrize("message", UP, ids=lambda message: message.kind)
def test_a_message_of_version_1_is_still_understood(message):
    stored = Path(__file__).parent / "messages_v1" / f"{message.kind}.hex"
    assert decode_up(bytes.fromhex(stored.read_text())) == message
