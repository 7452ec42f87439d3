"""What is kept of a device over time, from what it sent."""

from datetime import UTC, datetime

import pytest

from hemaline_shared.messages import Status, Telemetry, encode
from hemaline_shared.topics import Channel
from parts.captures import SCOPE, Slide
from parts.waiting import wait_until


def status(session, *, online=True, version="0.1.0", spool_id=5, stopped=False):
    return encode(
        Status(
            online=online,
            session=session,
            edge_version=version,
            at=datetime.now(UTC),
            spool_id=spool_id,
            stopped=stopped,
        )
    )


def telemetry(number, captured, *, spool_bytes=0, session=1, spool_id=5, problems=()):
    counters = dict.fromkeys(("rejected", "quarantined", "receipted", "refused"), 0)
    return encode(
        Telemetry(
            at=datetime.now(UTC),
            session=session,
            number=number,
            spool_id=spool_id,
            captured=captured,
            spool_frames=spool_bytes // 100,
            spool_bytes=spool_bytes,
            spool_quota_bytes=10_000,
            oldest_spooled_at=None,
            disk_free_bytes=1,
            problems=problems,
            **counters,
        )
    )


@pytest.fixture
def kinds(ledger):
    def read():
        return ledger.rows("select kind, detail from device_changes order by change_id")

    return read


def test_the_timeline_tells_what_changed(sender, kinds):
    steps = [
        (Channel.STATUS, status(1), 1),
        (Channel.TELEMETRY, telemetry(1, 0, problems=["capture"]), 2),
        (Channel.TELEMETRY, telemetry(2, 0), 3),
        (Channel.STATUS, status(1, online=False, stopped=True), 4),
        (Channel.STATUS, status(1, version="0.2.0", spool_id=6), 7),
        (Channel.STATUS, status(1, online=False, version="0.2.0", spool_id=6), 8),
    ]
    for channel, payload, told in steps:
        sender.publish(channel, payload)
        wait_until(lambda told=told: len(kinds()) == told)
    assert kinds() == [
        ("connected", ""),
        ("problem-began", "capture"),
        ("problem-ended", "capture"),
        ("stopped", ""),
        ("new-spool", ""),
        ("new-version", "0.1.0 → 0.2.0"),
        ("connected", ""),
        ("lost", ""),
    ]


def test_an_hour_sums_what_was_captured_also_across_an_emptied_spool(sender, ledger):
    sender.publish(Channel.STATUS, status(1))
    wait_until(lambda: ledger.rows("select 1 from devices"))
    sender.publish(Channel.TELEMETRY, telemetry(1, 100))
    sender.publish(Channel.TELEMETRY, telemetry(2, 104, spool_bytes=800))
    sender.publish(Channel.TELEMETRY, telemetry(3, 104, spool_bytes=300))
    sender.publish(Channel.TELEMETRY, telemetry(1, 2, spool_id=6))
    rows = "select sum(captured), max(spool_bytes), max(spool_frames) from device_hours"
    wait_until(lambda: ledger.rows(rows) == [(6, 800, 8)])


def test_a_device_that_loses_its_spool_at_each_start_does_not_make_its_row_longer_for_ever(
    sender, ledger
):
    for spool_id in range(1, 62):
        sender.publish(Channel.STATUS, status(1, spool_id=spool_id))
    wait_until(lambda: ledger.rows("select spool_id from devices") == [(61,)])
    kept = "select cardinality(earlier_spools), earlier_spools[50] from devices"
    assert ledger.rows(kept) == [(50, 60)]


def test_frames_are_counted_by_outcome_and_measured_once(sender, ledger):
    slide = Slide()
    frames = [slide.field(0), slide.field(1), slide.rejected(2), slide.quarantined(3)]
    for _ in range(2):  # what comes again counts once
        sender.send(*frames)
        sender.wait_for_receipts(len(frames))
    counted = ledger.rows(
        "select device, outcome, sum(frames)::int from device_frames group by 1, 2 order by 2"
    )
    assert counted == [
        (SCOPE.device, "accepted", 2),
        (SCOPE.device, "quarantined", 1),
        (SCOPE.device, "rejected", 1),
    ]
    judged = "select judged, round(blur_sum), frames from device_hours natural join"
    judged += " (select * from device_baselines where measure = 'blur') of_blur"
    assert ledger.rows(judged) == [(3, 12, 3)]
