"""The word for a device: the worst of its facts decides it."""

from datetime import UTC, datetime, timedelta

import pytest

from hemaline_cloud.fleet.state import DeviceFacts, DeviceState, state_of

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
PERIOD = timedelta(seconds=30)


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def facts(**other: object) -> DeviceFacts:
    """A device that works, with some facts changed."""
    well = {
        "connection": "connected",
        "connection_at": ago(hours=5),
        "telemetry_at": ago(seconds=20),
        "capture_at": ago(seconds=40),
        "receipt_at": ago(seconds=39),
        "period": PERIOD,
    }
    return DeviceFacts(**{**well, **other})


@pytest.mark.parametrize(
    ("known", "word", "reason"),
    [
        (facts(), "working", "captures"),
        # Last capture.
        (facts(capture_at=ago(minutes=14, seconds=59)), "working", "captures"),
        (facts(capture_at=ago(minutes=15)), "idle", "nothing-captured"),
        (facts(capture_at=None, receipt_at=None), "idle", "nothing-captured"),
        (facts(problems={"capture"}), "not-capturing", "capture-fails"),
        (facts(problems={"pictures"}), "not-capturing", "useless-pictures"),
        (facts(problems={"spool", "capture"}), "not-capturing", "spool-full"),
        (facts(problems={"capture"}, capture_at=None), "not-capturing", "capture-fails"),
        (facts(problems={"clock", "publisher", "broker", "source"}), "working", "captures"),
        # Last receipt.
        (facts(receipt_at=ago(days=3)), "working", "captures"),
        (facts(receipt_wait=timedelta(seconds=29)), "working", "captures"),
        (facts(receipt_wait=PERIOD), "silent", "no-receipts"),
        (facts(receipt_wait=PERIOD, problems={"capture"}), "silent", "no-receipts"),
        # Last telemetry.
        (facts(telemetry_at=ago(seconds=59)), "working", "captures"),
        (facts(telemetry_at=ago(seconds=60)), "silent", "no-telemetry"),
        (facts(telemetry_at=ago(seconds=60), period=2 * PERIOD), "working", "captures"),
        (facts(telemetry_at=ago(days=900)), "silent", "no-telemetry"),
        (facts(telemetry_at=None, connection_at=ago(seconds=60)), "silent", "no-telemetry"),
        (facts(telemetry_at=None, connection_at=ago(seconds=5)), "working", "captures"),
        (facts(telemetry_at=ago(days=1), connection_at=ago(seconds=5)), "working", "captures"),
        (facts(telemetry_at=ago(days=1), problems={"capture"}), "silent", "no-telemetry"),
        # Connected.
        (facts(connection="stopped"), "stopped", "ended-by-itself"),
        (facts(connection="stopped", telemetry_at=ago(days=9)), "stopped", "ended-by-itself"),
        (facts(connection="lost", problems={"capture"}), "lost", "connection-broke"),
        (facts(connection="lost", telemetry_at=ago(days=9)), "lost", "connection-broke"),
        (DeviceFacts("never-seen"), "never-seen", "never-connected"),
    ],
)
def test_the_worst_fact_decides_the_word(known, word, reason):
    assert state_of(known, NOW) == DeviceState(word, reason)


def test_a_moment_that_lies_ahead_is_no_age_at_all():
    """Two servers' clocks differ a little: what came after `now` is as fresh as can be."""
    ahead = NOW + timedelta(seconds=2)
    assert state_of(facts(telemetry_at=ahead, capture_at=ahead), NOW).word == "working"
