"""Everything that no retry helps makes a dead letter, a receipt that says so, and stops no one."""

import zlib
from datetime import UTC, datetime

import cbor2
import pytest

from hemaline_shared.ids import new_id
from hemaline_shared.messages import Status, UploadRequest, encode
from hemaline_shared.packing import FieldImages, pack
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.topics import Channel, DeviceName
from parts.captures import HEIGHT, SCOPE, WIDTH, Slide, attach, cell, images, picture
from parts.sender import Sender
from parts.waiting import wait_until


def changed(message, **changes):
    """The message's payload with fields that its model would refuse."""
    return cbor2.dumps({**cbor2.loads(encode(message)), **changes})


def field_with(field_image=None, crops=None, **changes):
    good = images(2)
    packed = pack(FieldImages(field_image or good.field, crops or good.crops))
    return encode(Slide().field(images=attach(packed), **changes))


def wrong_hash():
    field = Slide().field()
    return encode(
        field.model_copy(update={"images": field.images.model_copy(update={"sha256": "0" * 64})})
    )


def wrong_size():
    field = Slide().field()
    return encode(field.model_copy(update={"images": field.images.model_copy(update={"size": 7})}))


def bomb():
    """A PNG of a few hundred bytes whose header promises ten thousand million pixels."""
    png = bytearray(encode_crop(picture(8, 8)))
    png[16:24] = (100_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    return bytes(png)


GOOD = images(2)
PAYLOADS = {
    "unknown-version": lambda: changed(Slide().field(), v=0),
    "invalid-message": lambda: changed(Slide().field(), width="wide"),
    "device-mismatch": lambda: encode(Slide(DeviceName("lab", "scope-2")).field()),
    "wrong-hash": wrong_hash,
    "wrong-size": wrong_size,
    "invalid-images": lambda: encode(Slide().field(images=attach(b"not packed"))),
    "invalid-cells": lambda: encode(Slide().field(cells=(cell(0), cell(1), cell(2)))),
    "wrong-field-size": lambda: encode(Slide().field(width=WIDTH + 1)),
    "wrong-crop-size": lambda: field_with(crops=(encode_crop(picture(200, 200)),) * 2),
    "truncated": lambda: field_with(field_image=GOOD.field[:-100]),
    "undecodable": lambda: field_with(
        crops=(GOOD.crops[0][:60] + b"\0" * 40 + GOOD.crops[0][100:],) * 2
    ),
    "not-an-image": lambda: field_with(field_image=b"no image at all"),
    "empty": lambda: field_with(crops=(b"", b"")),
    "too-many-pixels": lambda: field_with(field_image=bomb(), width=100_000, height=100_000),
    "impossible-time": lambda: encode(Slide().field(captured_at=datetime(9000, 1, 1, tzinfo=UTC))),
    "foreign-upload": lambda: encode(
        Slide().field(images={"size": 9, "sha256": "0" * 64, "object_key": "fields/lab/scope-2/1"})
    ),
    "upload-missing": lambda: claim(Slide().field()),
    "unstorable": lambda: encode(Slide().field(edge_version="0\0")),
}
LEDGER_LACKS = {"device-mismatch", "unstorable"}


def claim(field, **changes):
    key = f"uploads/{SCOPE}/{field.message_id}"
    size, sha256 = field.images.size, field.images.sha256
    attachment = {"size": size, "sha256": sha256, "object_key": key} | changes
    return changed(field, images=attachment)


def send_and_prove_that_others_go_on(sender, payload, message_id):
    """Surround the bad message with good ones, in one batch if ingest likes."""
    before, after = Slide().field(), Slide().field()
    sender.send(before)
    sender.send_payload(payload, message_id)
    sender.send(after)
    assert sender.receipt(before.message_id).outcome == "stored"
    assert sender.receipt(after.message_id).outcome == "stored"
    return sender.receipt(message_id)


@pytest.mark.parametrize("reason", PAYLOADS)
def test_a_bad_message_becomes_a_dead_letter_and_a_receipt(reason, sender, ledger, store):
    payload = PAYLOADS[reason]()
    message_id = cbor2.loads(payload)["message_id"]
    receipt = send_and_prove_that_others_go_on(sender, payload, message_id)
    assert (receipt.outcome, receipt.reason) == ("quarantined", reason)
    assert receipt.detail
    ((topic, letter_of, why, key, size),) = ledger.rows(
        "select topic, message_id, reason, object_key, size from dead_letters"
    )
    assert (topic, letter_of, why) == (SCOPE.topic(Channel.FIELD), message_id, reason)
    assert size == len(payload)
    assert store.get(key) == payload
    state = ledger.states().get(message_id)
    assert state == (None if reason in LEDGER_LACKS else "quarantined")


def test_what_is_no_message_is_named_by_its_correlation_data(sender, ledger):
    message_id = new_id()
    receipt = send_and_prove_that_others_go_on(sender, b"\xff not CBOR", message_id)
    assert (receipt.outcome, receipt.reason) == ("quarantined", "not-cbor")
    assert ledger.rows("select message_id, reason from dead_letters") == [(message_id, "not-cbor")]


def test_what_names_nobody_is_kept_without_a_receipt(sender, ledger):
    sender.publish(Channel.FIELD, b"\xff", token="no id")
    sender.publish(Channel.STATUS, b"\xff")
    wait_until(lambda: ledger.reasons() == ["not-cbor", "not-cbor"])
    assert ledger.rows("select message_id from dead_letters") == [(None,), (None,)]
    assert sender.receipts == {}


def test_a_name_that_no_device_can_have_is_kept(broker, ingest, ledger):
    class Anyone(DeviceName):
        def __post_init__(self):
            """Accept any name."""

    with Sender(broker.settings, Anyone("Lab", "scope_1")) as sender:
        sender.publish(Channel.FIELD, encode(Slide().field()))
        wait_until(lambda: ledger.reasons() == ["invalid-device-name"])


def test_another_content_under_a_used_id_changes_nothing(sender, ledger, store):
    field = Slide().field(0)
    sender.send(field)
    sender.receipt(field.message_id)
    before = ledger.all()
    other = field.model_copy(update={"images": attach(pack(images(2, seed=99)))})
    sender.send_payload(encode(other), field.message_id)
    receipt = sender.receipt(field.message_id, nth=2)
    assert (receipt.outcome, receipt.reason) == ("quarantined", "frame-id-reused")
    after = ledger.all()
    letters = after.pop("dead_letters")
    before.pop("dead_letters")
    assert after == before
    assert len(letters) == 1
    ((key,),) = ledger.rows("select object_key from fields")
    assert store.get(key) == field.images.inline
    ((letter,),) = ledger.rows("select object_key from dead_letters")
    assert cbor2.loads(store.get(letter))["images"]["inline"] == other.images.inline


def test_another_kind_of_frame_under_a_used_id_is_another_frame(sender, ledger):
    slide = Slide()
    rejected = slide.rejected(0)
    field = slide.field(0, message_id=rejected.message_id, captured_at=rejected.captured_at)
    sender.send(rejected)
    sender.receipt(rejected.message_id)
    sender.send(field)
    assert sender.receipt(rejected.message_id, nth=2).reason == "frame-id-reused"
    assert ledger.states() == {rejected.message_id: "rejected"}


def test_a_device_cannot_take_another_devices_frame_or_slide(broker, sender, ledger):
    field = Slide().field(0)
    sender.send(field)
    sender.receipt(field.message_id)
    before = ledger.all()
    thief = DeviceName("lab", "thief")
    slide = Slide(thief, field.slide_id, field.specimen_id)
    with Sender(broker.settings, thief) as other:
        stolen_frame = Slide(thief).field(0, message_id=field.message_id)
        stolen_slide, stolen_end = slide.rejected(1), slide.closed(1)
        broken_in_slide = slide.field(2, width=WIDTH + 1)
        other.send(stolen_frame, stolen_slide, stolen_end, broken_in_slide)
        assert other.receipt(field.message_id).reason == "frame-id-reused"
        assert other.receipt(stolen_slide.message_id).reason == "slide-id-reused"
        assert other.receipt(stolen_end.message_id).reason == "slide-id-reused"
        assert other.receipt(broken_in_slide.message_id).reason == "wrong-field-size"
    after = ledger.all()
    assert len(after.pop("dead_letters")) == 4
    before.pop("dead_letters")
    assert after == before


def test_a_slide_is_closed_once(sender, ledger):
    slide = Slide()
    sender.send(slide.closed(3))
    assert sender.receipt(slide.closed(3).message_id).outcome == "stored"
    sender.send_payload(encode(slide.closed(4)), slide.closed(4).message_id)
    receipt = sender.receipt(slide.closed(4).message_id, nth=2)
    assert receipt.reason == "slide-closed-otherwise"
    assert ledger.rows("select frames_expected from slides") == [(3,)]


@pytest.mark.parametrize(
    "message",
    [
        lambda: changed(Slide().rejected(), quality={"measures": {}, "reasons": []}),
        lambda: changed(Slide().field(), quality={"measures": {}, "reasons": ["dark"]}),
        lambda: changed(Slide().field(), kind="other"),
        lambda: cbor2.dumps({"v": 1, "message_id": new_id()}),
    ],
    ids=["rejected-without-reason", "refused-field", "unknown-kind", "only-an-id"],
)
def test_a_message_that_contradicts_itself_is_invalid(message, sender, ledger):
    payload = message()
    message_id = cbor2.loads(payload)["message_id"]
    sender.send_payload(payload, message_id)
    assert sender.receipt(message_id).reason == "invalid-message"


def test_an_upload_request_that_cannot_be_read_is_refused_with_words(sender, ledger):
    request = UploadRequest(message_id=new_id(), size=10, sha256="0" * 64)
    sender.publish(Channel.UPLOAD_REQUEST, changed(request, size=-1))
    grant = sender.grant()
    assert grant.message_id == request.message_id
    assert "size" in grant.refusal


def test_a_status_that_postgresql_cannot_hold_is_a_dead_letter(sender, ledger):
    status = Status(online=True, session=1, edge_version="0\0", at=datetime.now(UTC))
    sender.publish(Channel.STATUS, encode(status))
    wait_until(lambda: ledger.reasons() == ["unstorable"])


def test_the_largest_numbers_of_the_wire_are_stored(sender, ledger):
    largest = 2**31 - 1
    slide = Slide()
    field = slide.field(sequence=largest)
    sender.send(field)
    assert sender.receipt(field.message_id).outcome == "stored"
    status = Status(online=True, session=largest, edge_version="0", at=datetime.now(UTC))
    sender.publish(Channel.STATUS, encode(status))
    wait_until(lambda: ledger.rows("select session from devices") == [(largest,)])
    assert ledger.reasons() == []


def test_text_that_postgresql_cannot_hold_is_a_dead_letter(sender, ledger):
    quarantined = Slide().quarantined(detail="a\0b")
    sender.send(quarantined)
    receipt = sender.receipt(quarantined.message_id)
    assert (receipt.outcome, receipt.reason) == ("quarantined", "unstorable")
    assert ledger.reasons() == ["unstorable"]


def test_boxes_must_lie_in_the_field_and_be_numbered(sender):
    outside = Slide().field(cells=(cell(0), cell(1, left=WIDTH - 10)))
    upside_down = Slide().field(
        cells=(cell(0), {**cell(1).model_dump(), "top": HEIGHT, "bottom": 10})
    )
    numbered_twice = Slide().field(cells=(cell(0), cell(0)))
    bad = (outside, upside_down, numbered_twice)
    sender.send(*bad)
    assert {sender.receipt(field.message_id).reason for field in bad} == {"invalid-cells"}


def test_the_same_field_as_grey_or_larger_jpeg_is_checked_by_what_it_holds(sender):
    larger = Slide().field(
        images=attach(pack(FieldImages(encode_field(picture(640, 480)), GOOD.crops)))
    )
    sender.send(larger)
    assert sender.receipt(larger.message_id).reason == "wrong-field-size"
