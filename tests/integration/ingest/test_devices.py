"""What devices say of themselves: the newest session's word stands."""

from datetime import UTC, datetime, timedelta

from hemaline_shared.messages import Status, Telemetry, encode
from hemaline_shared.topics import Channel
from parts.captures import SCOPE
from parts.waiting import LONG_S, wait_until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def status(session, *, online, minutes=0):
    at = NOON + timedelta(minutes=minutes)
    return encode(Status(online=online, session=session, edge_version="0.1.0", at=at))


def telemetry(captured, minutes, number=0, session=1):
    return encode(
        Telemetry(
            at=NOON + timedelta(minutes=minutes),
            session=session,
            number=number,
            captured=captured,
            rejected=0,
            quarantined=0,
            receipted=0,
            refused=0,
            spool_frames=0,
            spool_bytes=0,
            spool_quota_bytes=1,
            oldest_spooled_at=None,
            disk_free_bytes=1,
        )
    )


def say(sender, ledger, *payloads, channel=Channel.STATUS):
    """Publish, and wait until what was published last has been heard."""
    for payload in payloads:
        sender.publish(channel, payload)
    sender.publish(Channel.FIELD, b"\xff")
    wait_until(lambda: ledger.reasons() == ["not-cbor"])


def test_a_birth_makes_a_device_known(sender, ledger):
    say(sender, ledger, status(3, online=True))
    assert ledger.rows("select site, device, online, session, edge_version from devices") == [
        (SCOPE.site, SCOPE.device, True, 3, "0.1.0")
    ]


def test_a_last_will_takes_the_device_offline(sender, ledger):
    say(sender, ledger, status(3, online=True), status(3, online=False))
    assert ledger.rows("select online, session from devices") == [(False, 3)]


def test_a_broker_that_comes_back_with_an_older_birth_wakes_no_stopped_device(sender, ledger):
    birth, stop = status(3, online=True), status(3, online=False, minutes=9)
    say(sender, ledger, birth, stop, birth)
    assert ledger.rows("select online, session from devices") == [(False, 3)]


def test_a_last_will_of_an_older_session_changes_nothing(sender, ledger):
    say(sender, ledger, status(4, online=True), status(3, online=False, minutes=9))
    assert ledger.rows("select online, session from devices") == [(True, 4)]


def test_a_birth_after_a_broken_connection_brings_the_device_back(sender, ledger):
    birth, will = status(3, online=True), status(3, online=False)
    say(sender, ledger, birth, will, status(4, online=True))
    assert ledger.rows("select online, session from devices") == [(True, 4)]


def test_the_newest_telemetry_stands(sender, ledger):
    sender.publish(Channel.STATUS, status(1, online=True))
    say(sender, ledger, telemetry(5, 2), telemetry(4, 1), channel=Channel.TELEMETRY)
    ((content, at),) = ledger.rows("select telemetry, telemetry_at from devices")
    assert content["captured"] == 5
    assert abs(datetime.now(UTC) - at) < timedelta(seconds=LONG_S), "by the server's clock"


def test_a_device_s_clock_orders_nothing(sender, ledger):
    sender.publish(Channel.STATUS, status(1, online=True))
    sender.publish(Channel.STATUS, status(2, online=True, minutes=-90_000))
    told = [telemetry(5, 2**20, 7, 1), telemetry(6, 0, 1, 2), telemetry(7, -90, 2, 2)]
    say(sender, ledger, *told, *told[::-1], channel=Channel.TELEMETRY)
    ((content, session, at),) = ledger.rows("select telemetry, session, status_at from devices")
    assert (content["captured"], session) == (7, 2)
    assert abs(datetime.now(UTC) - at) < timedelta(seconds=LONG_S), "by the server's clock"


def test_an_end_that_the_broker_tells_again_is_no_news(sender, ledger):
    say(sender, ledger, status(3, online=True), status(3, online=False))
    before = ledger.rows("select status_at from devices")
    sender.publish(Channel.STATUS, status(3, online=False))
    sender.publish(Channel.FIELD, b"\xfe")
    wait_until(lambda: ledger.reasons() == ["not-cbor"] * 2)
    assert ledger.rows("select status_at from devices") == before


def test_telemetry_of_a_device_that_was_never_born_is_dropped(sender, ledger):
    say(sender, ledger, telemetry(5, 2), channel=Channel.TELEMETRY)
    assert ledger.rows("select 1 from devices") == []
