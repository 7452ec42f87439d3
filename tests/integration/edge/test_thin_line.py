"""A thin, cut or lossy line costs time, and hardly a byte more than what is to be sent."""

import time

import pytest

from hemaline_shared.messages import encode
from parts.edge_frames import spooled
from parts.responder import Responder, eventually, stored
from parts.thin_line import ThinLine

FRAMES = 24
SIZE = 10_000


@pytest.fixture
def line(broker):
    with ThinLine(broker.settings.port) as line:
        yield line


@pytest.fixture
def far(broker, line):
    """The broker as the device behind the line has it."""
    return broker.settings.model_copy(update={"port": line.port})


def fill(spool, frames=FRAMES):
    return [spooled(spool, SIZE + number) for number in range(frames)]


def needed(cloud):
    """Bytes of each message that arrived, once."""
    return sum({m.message_id: len(encode(m)) for m in cloud.messages}.values())


def drained(spool):
    return lambda: spool.contents().messages == 0


def test_a_thin_line_carries_each_message_once(broker, spool, publish, line, far):
    fill(spool)
    line.bytes_per_s = 20_000
    with Responder(broker.settings, stored) as cloud:
        # A message waits longer for its turn than a receipt may take.
        publish(far, receipt_timeout_s=4, slowest_resend_s=8)
        assert eventually(drained(spool))
    assert set(cloud.arrivals.values()) == {1}
    assert line.sent_up <= 1.1 * needed(cloud)
    assert line.connections == 1


def test_what_is_under_way_is_bounded_whatever_waits_in_the_spool(
    broker, spool, publish, line, far
):
    for number in range(60):
        spooled(spool, 50_000 + number)
    line.bytes_per_s = 40_000
    with Responder(broker.settings, stored) as cloud:
        publisher, _ = publish(far, window_bytes=400_000, receipt_timeout_s=1)
        assert eventually(lambda: len(cloud.messages) > 2)
        most = 0
        for _ in range(100):
            most = max(most, publisher._link.unacknowledged_bytes)
            time.sleep(0.05)
    assert 200_000 < most < 500_000


def test_an_acknowledgement_without_a_receipt_makes_a_message_go_again_later(
    broker, spool, publish, line, far
):
    fill(spool, 5)

    def lose_the_first(message, times):
        return stored(message, times) if times > 1 else []

    with Responder(broker.settings, lose_the_first) as cloud:
        publish(far, receipt_timeout_s=2)
        assert eventually(drained(spool))
    assert set(cloud.arrivals.values()) == {2}


def test_a_line_that_is_cut_again_and_again_carries_little_twice(broker, spool, publish, line, far):
    fill(spool)
    line.bytes_per_s = 40_000
    with Responder(broker.settings, stored) as cloud:
        publish(far, receipt_timeout_s=5, slowest_resend_s=10)
        for share in (6, 12, 18):
            assert eventually(lambda share=share: spool.counts().receipted >= share)
            line.cut()
        assert eventually(drained(spool))
    assert spool.counts().receipted == FRAMES
    assert sum(cloud.arrivals.values()) <= FRAMES + 2 * 3, "much was sent twice"


def test_receipts_that_came_while_the_device_was_away_are_not_asked_for_again(
    broker, spool, publish, line, far
):
    fill(spool, 8)
    answers = []

    def keep(message, times):
        answers.append(message)
        return []

    with Responder(broker.settings, keep) as cloud:
        publisher, _ = publish(far, receipt_timeout_s=60)
        assert eventually(lambda: len(answers) == 8)
        assert eventually(lambda: publisher._link.unacknowledged_bytes == 0)
        line.is_down = True
        line.cut()
        assert eventually(lambda: not publisher._link.connected)
        for message in answers:
            cloud.send_receipts("lab", "scope", stored(message, 1))
        time.sleep(0.5)
        line.is_down = False
        assert eventually(drained(spool))
    assert set(cloud.arrivals.values()) == {1}
