"""The agent as a process: what it tells the world, what it survives, how it stops."""

import json
import signal
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from hemaline_edge.spool.view import open_view
from parts.edge_frames import save, smear
from parts.edge_process import EdgeProcess, environment, text_of
from parts.health import ask_health
from parts.responder import Responder, eventually, silent, stored


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for number in range(4):
        save(folder / "Jane Doe 1970" / f"Jane {number}.png", smear(number))
    save(folder / "second" / "dark.png", np.zeros((240, 320, 3), np.uint8))
    (folder / "second" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def start(tmp_path, images, broker):
    """Start the agent or one of its commands; `WATCH` and so on are settings of the source."""
    running = []

    def run(*arguments, **more):
        source = {"SOURCE__WATCH": "false", "SOURCE__GIVE_UP_S": "0"}
        env = environment(tmp_path / "spool", images, broker.settings, **{**source, **more})
        running.append(EdgeProcess(env, tmp_path / "log", *arguments))
        return running[-1]

    yield run
    for process in running:
        process.kill()


@pytest.fixture
def log(tmp_path):
    return lambda: text_of(tmp_path / "log")


def health_port(log):
    *_, line = (line for line in log().splitlines() if "health and metrics on port" in line)
    return int(line.split("port ")[1].split(",")[0])


def test_a_finite_source_drains_and_every_frame_has_its_end(start, broker, tmp_path, log):
    with Responder(broker.settings, stored) as cloud:
        assert start("run", "--until-drained", SEND_SLIDE_NAMES="true").wait() == 0, log()
    kinds = sorted(message.kind for message in cloud.messages)
    assert kinds == [*["field"] * 4, "quarantined", "rejected", *["slide-closed"] * 2]
    first = next(message for message in cloud.messages if message.kind == "field")
    assert (first.site, first.device, first.source) == ("lab", "scope", "folder")
    assert first.cells
    view = open_view(tmp_path / "spool")
    labels = {slide.label: (slide.frames, slide.receipted) for slide in view.slides()}
    view.close()
    assert labels == {"Jane Doe 1970": (4, 4), "second": (2, 2)}
    assert {message.slide_name for message in cloud.messages} == set(labels)
    assert "Jane" not in log()


def test_a_run_for_an_urgent_patient_says_so_in_every_message(start, broker, log):
    with Responder(broker.settings, stored) as cloud:
        assert start("run", "--until-drained", "--stat").wait() == 0, log()
    assert {message.priority for message in cloud.messages} == {"stat"}


def said_of_the_spool(told):
    return told.spool_unreadable, told.spool_frames, told.problems


def test_telemetry_and_readiness_tell_of_a_spooled_file_that_cannot_be_read(
    start, broker, tmp_path, log
):
    with Responder(broker.settings, silent) as cloud:
        agent = start("run", SOURCE__WATCH="true")
        assert eventually(lambda: any(told.captured == 6 for told in cloud.telemetry)), log()
        assert agent.terminate() == 0
        file = next((tmp_path / "spool" / "images").glob("*.cbor"))
        file.unlink()
        file.symlink_to("/proc/self/mem")  # reading it is EIO
        with closing(sqlite3.connect(tmp_path / "spool" / "index.sqlite3")) as connection:
            change = "update entries set image_bytes = 0 where message_id = ?"
            connection.execute(change, (file.stem,))
            connection.commit()
        cloud.answer = stored
        start("run", SOURCE__WATCH="true", PUBLISHER__UNREADABLE_TRIES="1000")
        expected = (1, 1, ("publisher",))
        assert eventually(lambda: expected == said_of_the_spool(cloud.telemetry[-1]), 40), log()
        problems = json.loads(ask_health(health_port(log), "/readyz")[1])["problems"]
    assert "1 spooled messages cannot be read, the others go on" in problems["publisher"]


def test_no_name_of_a_file_or_slide_leaves_the_device_or_reaches_the_log(start, broker, log):
    with Responder(broker.settings, stored) as cloud:
        assert start("run", "--until-drained", LOG_LEVEL="debug").wait() == 0
    assert cloud.messages
    told = " ".join(repr(message) for message in cloud.messages)
    for text in (told, log()):
        assert "Jane" not in text
        assert "broken.jpg" not in text


def test_a_second_run_captures_nothing_again(start, broker, log):
    with Responder(broker.settings, stored) as cloud:
        assert start("run", "--until-drained").wait() == 0
        before = len(cloud.messages)
        assert start("run", "--until-drained").wait() == 0
        assert len(cloud.messages) == before
        assert eventually(lambda: {status.session for status in cloud.statuses} == {1, 2})


def test_a_run_that_cannot_drain_ends_with_the_time_limit_and_another_status(start, broker):
    with Responder(broker.settings, silent):
        assert start("run", "--until-drained", "--time-limit", "3").wait() == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_good_order_says_offline_and_leaves_no_last_will(start, broker, number, log):
    with Responder(broker.settings, stored) as cloud:
        agent = start("run", SOURCE__WATCH="true")
        assert eventually(lambda: any(status.online for status in cloud.statuses)), log()
        assert agent.terminate(number) == 0, log()
        assert eventually(lambda: not cloud.statuses[-1].online)
        time.sleep(0.5)
        assert [(s.session, s.online) for s in cloud.statuses] == [(1, True), (1, False)]


def test_each_connection_is_a_session_whose_end_is_told_by_its_number(start, broker, log):
    with Responder(broker.settings, stored):
        agent = start("run", SOURCE__WATCH="true")
        assert eventually(lambda: "connected to broker" in log()), log()
        broker.kill()
        broker.wipe()
        broker.start()
        with Responder(broker.settings, stored, name="second") as cloud:
            assert eventually(lambda: bool(cloud.statuses), 40), log()
            assert agent.terminate() == 0
            assert eventually(lambda: not cloud.statuses[-1].online)
        assert [(s.session, s.online) for s in cloud.statuses] == [(2, True), (2, False)]


def test_the_last_telemetry_of_a_clean_stop_is_true(start, broker, log):
    with Responder(broker.settings, stored) as cloud:
        agent = start("run", SOURCE__WATCH="true", TELEMETRY_S="600")
        assert eventually(lambda: len(cloud.messages) == 6), log()
        assert agent.terminate() == 0
        assert eventually(lambda: len(cloud.telemetry) == 2)
        told = cloud.telemetry[-1]
    assert (told.captured, told.receipted, told.spool_frames, told.spool_bytes) == (6, 6, 0, 0)


def test_a_killed_agent_s_last_will_names_the_session_that_died(start, broker, log):
    with Responder(broker.settings, stored) as cloud:
        for session in (1, 2):
            agent = start("run", SOURCE__WATCH="true")
            assert eventually(
                lambda s=session: (
                    (s, True) in [(status.session, status.online) for status in cloud.statuses]
                )
            ), log()
            agent.kill()
            assert eventually(
                lambda s=session: (
                    (s, False) in [(status.session, status.online) for status in cloud.statuses]
                )
            )
    with Responder(broker.settings, stored) as late:
        assert eventually(lambda: bool(late.statuses))
        assert (late.statuses[0].session, late.statuses[0].online) == (2, False)


def test_telemetry_tells_what_was_captured_and_what_waits(start, broker):
    with Responder(broker.settings, silent) as cloud:
        start("run", SOURCE__WATCH="true")
        assert eventually(lambda: any(told.captured == 6 for told in cloud.telemetry))
        told = cloud.telemetry[-1]
    assert (told.rejected, told.quarantined, told.receipted) == (1, 1, 0)
    assert told.spool_frames == 6
    assert 0 < told.spool_bytes < told.spool_quota_bytes
    assert told.oldest_spooled_at


def test_capture_goes_on_without_a_broker_and_drains_when_it_comes(start, broker, tmp_path, log):
    broker.kill()
    agent = start("run", "--until-drained")
    assert eventually(lambda: log().count("is closed after") == 2), log()
    broker.start()
    with Responder(broker.settings, stored) as cloud:
        assert agent.wait() == 0, log()
    assert len({message.message_id for message in cloud.messages}) == 8


def test_a_slide_that_is_idle_is_closed_while_the_folder_is_watched(start, broker):
    with Responder(broker.settings, stored) as cloud:
        start("run", SOURCE__WATCH="true", SLIDE_IDLE_MINUTES="0.03")
        assert eventually(
            lambda: sorted(m.frames for m in cloud.messages if m.kind == "slide-closed") == [2, 4]
        )


def test_health_says_what_is_wrong_and_metrics_count(start, broker, log):
    start("run", SOURCE__WATCH="true")
    with Responder(broker.settings, stored):
        assert eventually(lambda: "slide" in log() or "connected" in log())
        port = health_port(log)
        assert ask_health(port, "/healthz")[0] == 200
        assert eventually(lambda: "receipted_frames 6.0" in ask_health(port, "/metrics")[1])
        assert ask_health(port, "/readyz")[0] == 200
        assert 'rejected_total{reason="too-dark"} 1.0' in ask_health(port, "/metrics")[1]
    broker.kill()
    assert eventually(lambda: ask_health(port, "/readyz")[0] == 503)
    assert "broker" in json.loads(ask_health(port, "/readyz")[1])["problems"]


def test_a_folder_that_goes_away_ends_nothing(start, broker, images, tmp_path, log):
    with Responder(broker.settings, stored) as cloud:
        start("run", SOURCE__WATCH="true", SOURCE__SWEEP_S="0.3")
        assert eventually(lambda: len(cloud.messages) == 6), log()
        images.rename(tmp_path / "away")
        assert eventually(lambda: "is the share mounted" in log())
        assert "capture" in json.loads(ask_health(health_port(log), "/readyz")[1])["problems"]
        (tmp_path / "away").rename(images)
        save(images / "third" / "new.png", smear(77))
        assert eventually(lambda: len(cloud.messages) == 7, 30), log()


def test_a_full_spool_is_told_by_readiness_and_telemetry_and_drains(start, broker, images, log):
    for number in range(4, 12):
        save(images / "Jane Doe 1970" / f"Jane {number}.png", smear(number))
    with Responder(broker.settings, silent) as cloud:
        agent = start("run", "--until-drained", SPOOL__QUOTA_BYTES=str(1024**2))
        assert eventually(lambda: "nothing more is captured" in log()), log()
        assert "capture" in json.loads(ask_health(health_port(log), "/readyz")[1])["problems"]
        assert eventually(lambda: cloud.telemetry[-1].refused == 1)
        cloud.answer = stored
        assert agent.wait() == 0
    assert len({m.message_id for m in cloud.messages if m.kind != "slide-closed"}) == 14


def test_a_second_agent_on_the_same_spool_is_refused(start, log):
    start("run", SOURCE__WATCH="true")
    assert eventually(lambda: "health and metrics" in log())
    assert start("run").wait() == 2
    assert "another hemaline-edge" in log()
