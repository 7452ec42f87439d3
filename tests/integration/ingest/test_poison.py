"""Messages that our own writer never makes stop no other, and no process that reads them."""

from datetime import UTC, datetime, timedelta, timezone

import cbor2
import pytest

from hemaline_shared.ids import new_id
from hemaline_shared.messages import Status, Telemetry, encode
from hemaline_shared.topics import Channel
from parts.captures import Slide
from parts.waiting import wait_until

ENDLESS = 10**5000
"""More digits than Python turns into text."""
LONG = "9" * 4000
"""As many as it reads from text."""
BEFORE_CHRIST = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
AFTER_PYTHON = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14)))
COUNTS = (
    "captured rejected quarantined receipted refused "
    "spool_frames spool_bytes spool_quota_bytes disk_free_bytes"
)


def changed(message, **changes):
    return cbor2.dumps({**cbor2.loads(encode(message)), **changes})


def status(**changes):
    born = Status(online=True, session=1, edge_version="0.1.0", at=datetime.now(UTC))
    return changed(born, **changes)


def telemetry(**changes):
    counts = dict.fromkeys(COUNTS.split(), 1)
    now = datetime.now(UTC)
    return changed(Telemetry(at=now, session=1, oldest_spooled_at=None, **counts), **changes)


@pytest.mark.parametrize(
    "payload",
    [
        lambda: changed(Slide().field(), sequence=ENDLESS),
        lambda: changed(Slide().field(), sequence=LONG),
        lambda: changed(Slide().field(), sequence=LONG, width="wide"),
        lambda: changed(Slide().closed(1), frames=LONG),
        lambda: changed(Slide().field(), v=ENDLESS),
    ],
    ids=["endless", "long", "long-in-invalid", "long-closing", "endless-version"],
)
def test_a_number_without_bounds_is_quarantined(payload, sender):
    payload, after = payload(), Slide().field()
    message_id = cbor2.loads(payload)["message_id"]
    sender.send_payload(payload, message_id)
    sender.send(after)
    assert sender.receipt(message_id).outcome == "quarantined"
    assert sender.receipt(after.message_id).outcome == "stored"


@pytest.mark.parametrize(
    ("channel", "payload", "reason"),
    [
        (Channel.STATUS, lambda: status(session=ENDLESS), "not-cbor"),
        (Channel.STATUS, lambda: status(session=LONG), "invalid-message"),
        (Channel.STATUS, lambda: status(at=BEFORE_CHRIST), "impossible-time"),
        (Channel.STATUS, lambda: status(at=AFTER_PYTHON), "impossible-time"),
        (Channel.TELEMETRY, lambda: telemetry(spool_bytes=ENDLESS), "not-cbor"),
        (Channel.TELEMETRY, lambda: telemetry(spool_bytes=LONG), "invalid-message"),
        (Channel.TELEMETRY, lambda: telemetry(spool_bytes=-1), "invalid-message"),
        (Channel.TELEMETRY, lambda: telemetry(at=AFTER_PYTHON), "impossible-time"),
        (
            Channel.TELEMETRY,
            lambda: telemetry(oldest_spooled_at=BEFORE_CHRIST),
            "impossible-time",
        ),
        (
            Channel.TELEMETRY,
            lambda: telemetry(oldest_spooled_at="2026-01-01T00:00:00"),
            "invalid-message",
        ),
    ],
)
def test_what_no_reader_could_show_of_a_device_is_a_dead_letter(
    channel, payload, reason, sender, ledger
):
    sender.publish(Channel.STATUS, status())
    sender.publish(channel, payload())
    wait_until(ledger.reasons)
    assert ledger.reasons() == [reason]
    assert ledger.rows("select session, telemetry from devices") == [(1, None)]


def test_a_structure_that_refers_to_itself_holds_nobody_up(sender):
    lists = [b"\xd8\x1c\x80"]
    for place in range(60):
        reference = b"\xd8\x1d" + cbor2.dumps(place)
        lists.append(b"\xd8\x1c\x82" + reference + reference)
    version = bytes([0x98, len(lists)]) + b"".join(lists)
    message_id, after = new_id(), Slide().field()
    sender.send_payload(b"\xa1\x61v" + version, message_id)
    sender.send(after)
    assert sender.receipt(message_id).reason == "not-cbor"
    assert sender.receipt(after.message_id).outcome == "stored"
