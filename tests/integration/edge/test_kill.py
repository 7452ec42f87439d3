"""kill -9 at random moments of capture: every frame is in one place, none is captured twice."""

import random
import sqlite3
import time

import pytest

from hemaline_edge.spool.view import open_view
from hemaline_shared.packing import sha256_hex
from parts.edge_frames import save, smear
from parts.edge_process import EdgeProcess, environment
from parts.responder import Responder, stored
from parts.waiting import LONG_S

KILLS = 15
FILES = 90


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(FILES):
        save(folder / f"S{number % 3}" / f"{number:03}.jpg", smear(number, 320, 240))
    (folder / "S1" / "broken.jpg").write_bytes(b"no picture")
    return folder


def assert_consistent(spool):
    """Row for row and file for file, as the crash left it, before any recovery."""
    connection = sqlite3.connect(spool / "index.sqlite3")
    assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    counters = dict(connection.execute("select name, value from counters"))
    entries = connection.execute(
        "select message_id, sha256 from entries where kind <> 'slide-closed'"
    ).fetchall()
    places = "select count(*) from seen where scope like 'folder:%'"
    seen = connection.execute(places).fetchone()[0]
    in_slides = connection.execute("select coalesce(sum(frames), 0) from slides").fetchone()[0]
    connection.close()
    captured, receipted = counters.get("captured", 0), counters.get("receipted", 0)
    assert captured == len(entries) + receipted == seen == in_slides
    for message_id, expected in entries:
        if expected:
            file = spool / "images" / f"{message_id}.cbor"
            assert sha256_hex(file.read_bytes()) == expected
    return captured


def captured_in(spool):
    view = open_view(spool)
    try:
        return view.counts().captured
    finally:
        view.close()


def test_an_agent_killed_at_random_moments_loses_and_doubles_nothing(images, tmp_path, broker):
    chance = random.Random(20261123)
    spool = tmp_path / "spool"
    at_once = {"SOURCE__SETTLE_S": "0", "SOURCE__GIVE_UP_S": "0"}
    env = environment(spool, images, broker.settings, SOURCE__WATCH="false", **at_once)
    progress = []
    with Responder(broker.settings, stored) as cloud:
        for _ in range(KILLS):
            with EdgeProcess(env, tmp_path / "log", "run", "--until-drained") as agent:
                deadline = time.monotonic() + LONG_S
                while not (spool / "index.sqlite3").exists() and time.monotonic() < deadline:
                    time.sleep(0.01)
                # Most of a start is Python's imports; kill where the work is, however slow it is.
                wanted = (progress[-1] if progress else 0) + chance.randrange(4)
                while captured_in(spool) < wanted and time.monotonic() < deadline:
                    time.sleep(0.005)
                time.sleep(chance.uniform(0, 0.1))
                agent.kill()
            progress.append(assert_consistent(spool))
        assert progress == sorted(progress)
        assert progress[-1] > 0, "no kill fell into capture"
        with EdgeProcess(env, tmp_path / "log", "run", "--until-drained") as agent:
            assert agent.wait() == 0, (tmp_path / "log").read_text()
    assert assert_consistent(spool) == FILES + 1
    frames = {m.message_id: m for m in cloud.messages if m.kind != "slide-closed"}
    assert len(frames) == FILES + 1
    assert sum(m.kind == "quarantined" for m in frames.values()) == 1
    closed = {m.slide_id: m.frames for m in cloud.messages if m.kind == "slide-closed"}
    assert sorted(closed.values()) == [30, 30, 31]
    places = {(m.slide_id, m.sequence) for m in frames.values()}
    assert places == {(slide, n) for slide, count in closed.items() for n in range(count)}
    left = [file for file in (spool / "images").iterdir() if file.suffix != ".orphan"]
    assert not left  # an orphan is what a kill has left before its row: set aside, never sent
