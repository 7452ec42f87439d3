"""Servers that die, disks that fill, an ingest that is killed: every frame ends in one state."""

import json
import os
import random
import sys
import time

import pytest

from hemaline_cloud.objects import segments
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from parts.captures import SCOPE, Slide
from parts.health import ask_health
from parts.sender import Sender
from parts.waiting import LONG_S, wait_until

FRAMES = 30


def readiness(ingest):
    """What `/readyz` says is wrong; empty: nothing."""
    return json.loads(ask_health(ingest.health.port, "/readyz")[1])["problems"]


def stream(sender, slide, trouble_at, trouble):
    """Send a slide of many frames, with trouble in its middle; return the frames."""
    frames = [slide.field(n) if n % 3 else slide.rejected(n) for n in range(FRAMES)]
    for number, frame in enumerate(frames):
        if number == trouble_at:
            trouble()
        sender.send(frame)
        time.sleep(0.01)
    sender.send(slide.closed(FRAMES))
    return frames


def assert_each_frame_is_in_exactly_one_state(sender, ledger, frames):
    sender.wait_for_receipts(len(frames) + 1)
    expected = {f.message_id: "pending" if f.kind == "field" else "rejected" for f in frames}
    assert ledger.states() == expected
    assert all(receipts[0].outcome == "stored" for receipts in sender.receipts.values())
    pending = sorted(f.message_id for f in frames if f.kind == "field")
    assert sorted(row[0] for row in ledger.rows("select frame_id from work")) == pending
    assert ledger.rows("select frames_expected from slides") == [(FRAMES,)]
    assert ledger.reasons() == []


def test_postgresql_restarts_in_mid_stream(sender, ledger, postgres):
    frames = stream(sender, Slide(), FRAMES // 2, postgres.restart)
    assert_each_frame_is_in_exactly_one_state(sender, ledger, frames)


def test_while_the_database_is_away_nothing_is_acknowledged(
    broker, settings, start, ledger, postgres
):
    slide = Slide()
    frames = [slide.field(number) for number in range(5)]
    with Sender(broker.settings, SCOPE, resend_s=600) as sender:
        ingest = start(settings)
        postgres.stop()
        try:
            sender.send(*frames)
            wait_until(lambda: {"database", "ingest"} <= set(readiness(ingest)))
            ingest.stop()
            assert sender.receipts == {}
        finally:
            postgres.start()
        start(settings)
        sender.wait_for_receipts(len(frames))
    assert set(ledger.states()) == {frame.message_id for frame in frames}


def test_the_object_store_goes_and_comes(sender, ledger, objects, ingest):
    away = objects.path.with_name("unmounted")
    frames = stream(sender, Slide(), FRAMES // 2, lambda: objects.path.rename(away))
    wait_until(lambda: "objects" in readiness(ingest))
    away.rename(objects.path)
    assert_each_frame_is_in_exactly_one_state(sender, ledger, frames)
    wait_until(lambda: readiness(ingest) == {})


def test_s3_goes_and_comes(broker, settings, start, ledger, seaweedfs, s3_objects):
    start(settings.model_copy(update={"objects": s3_objects}))
    with Sender(broker.settings, SCOPE) as sender:
        frames = stream(sender, Slide(), FRAMES // 2, seaweedfs.kill)
        seaweedfs.start()
        assert_each_frame_is_in_exactly_one_state(sender, ledger, frames)


def test_a_full_disk_is_waited_out(sender, ledger, ingest, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device", "objects")

    with monkeypatch.context() as patched:
        patched.setattr(segments.os, "fsync", full)
        frames = stream(sender, Slide(), 0, lambda: None)
        wait_until(lambda: "No space left" in readiness(ingest).get("ingest", ""))
        assert "pending" not in ledger.states().values()
    assert_each_frame_is_in_exactly_one_state(sender, ledger, frames)


def test_more_messages_than_fit_wait_with_the_broker(broker, settings, start, ledger, postgres):
    """Beyond the window the broker holds them, so that an outage costs no memory of ours."""
    small = settings.model_copy(update={"queue_messages": 4, "commit_messages": 2})
    slide = Slide()
    frames = [slide.rejected(number) for number in range(40)]
    with Sender(broker.settings, SCOPE, resend_s=600) as sender:
        ingest = start(small)
        postgres.stop()
        try:
            sender.send(*frames)
            sender.wait_until_broker_has(*frames)
            wait_until(lambda: "ingest" in readiness(ingest))
            broker.stop()
            broker.start()  # what was not acknowledged comes again, beside what is held
            assert ingest.link.wait_connected(LONG_S)
        finally:
            postgres.start()
        sender.wait_for_receipts(len(frames))
    assert set(ledger.states()) == {frame.message_id for frame in frames}


@pytest.mark.parametrize("wiped", [False, True], ids=["killed", "wiped"])
def test_the_broker_dies_in_mid_stream(sender, ledger, broker, wiped):
    def die():
        broker.kill()
        if wiped:
            broker.wipe()
        broker.start()

    frames = stream(sender, Slide(), FRAMES // 2, die)
    assert_each_frame_is_in_exactly_one_state(sender, ledger, frames)


def test_every_broker_delivers_through_an_outage_of_the_database(
    any_broker, database_url, settings_of, start, ledger, postgres
):
    """Also one that ignores our window."""
    settings = settings_of(any_broker).model_copy(
        update={"queue_messages": 8, "commit_messages": 4}
    )
    slide = Slide()
    frames = [slide.rejected(number) for number in range(60)]
    start(settings)
    with Sender(any_broker.settings, SCOPE) as sender:
        postgres.stop()
        try:
            sender.send(*frames)
            time.sleep(1)
        finally:
            postgres.start()
        sender.wait_for_receipts(len(frames))
    assert set(ledger.states()) == {frame.message_id for frame in frames}


@pytest.fixture
def ingest_process(broker, database_url, objects, tmp_path):
    """Start `hemaline-cloud ingest` as it runs in production; each call starts another."""
    started = []

    def start_one():
        port = free_port()
        environment = {
            "HEMALINE_DATABASE_URL": database_url,
            "HEMALINE_OBJECTS__KIND": "directory",
            "HEMALINE_OBJECTS__PATH": str(objects.path),
            "HEMALINE_BROKER__PORT": str(broker.settings.port),
            "HEMALINE_HEALTH__PORT": str(port),
        }
        command = [sys.executable, "-m", "hemaline_cloud", "ingest"]
        child = Child("ingest", command, tmp_path / "ingest.log", environment)
        started.append(child)
        return child.wait_ready(lambda: http_ok(port, "/readyz"), timeout_s=LONG_S, port=port)

    yield start_one
    for child in started:
        child.stop()


def test_ingest_is_killed_in_mid_batch_again_and_again(broker, ingest_process, ledger):
    chance = random.Random(int(os.environ.get("HEMALINE_SEED", "1")))
    child = ingest_process()
    slide = Slide()
    frames = [slide.field(n) if n % 3 else slide.rejected(n) for n in range(FRAMES)]
    with Sender(broker.settings, SCOPE, resend_s=1) as sender:
        for part in range(3):
            sender.send(*frames[part * 10 : part * 10 + 10])
            time.sleep(chance.uniform(0, 0.15))
            child.kill()
            child = ingest_process()
        sender.send(slide.closed(FRAMES))
        assert_each_frame_is_in_exactly_one_state(sender, ledger, frames)


def test_ingest_stops_in_good_order_on_sigterm(broker, ingest_process, ledger):
    child = ingest_process()
    frame = Slide().field()
    with Sender(broker.settings, SCOPE) as sender:
        sender.send(frame)
        sender.receipt(frame.message_id)
    child.stop()
    assert child.exit_status == 0


def test_ingest_stops_on_sigterm_while_it_waits_for_the_database(broker, ingest_process, postgres):
    child = ingest_process()
    postgres.stop()
    try:
        with Sender(broker.settings, SCOPE) as sender:
            sender.send(Slide().field())
            wait_until(lambda: "waits" in child.log_tail())
        child.stop()
    finally:
        postgres.start()
    assert child.exit_status == 0
