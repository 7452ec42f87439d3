"""The whole way of a frame while every part of it is killed, one after another."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.slides import miscounted_slides
from hemaline_local.broker import find_mosquitto
from hemaline_local.microscopes import Agents, Microscope, simulated
from hemaline_local.ports import free_port
from hemaline_local.postgres import STOP_SIGNAL
from hemaline_local.services import Layout
from hemaline_local.system import OneMachine
from hemaline_shared.errors import PermanentError
from parts.bundles import tiny_trained
from parts.queued import EACH_CELL

pytestmark = [pytest.mark.timeout(1200), pytest.mark.xdist_group("whole-system")]

MICROSCOPES, SLIDES, FIELDS = 2, 2, 8
BETWEEN_BLOWS_S = 2.0
ALL_SETTLED_S = 900


@pytest.fixture
def layout(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    # A small one: what it says of a cell is not looked at.
    monkeypatch.setenv("HEMALINE_BUNDLE", str(tiny_trained(tmp_path / "bundle")))
    return Layout(home, *(free_port() for _ in range(4)))


@pytest.fixture
def machine(layout: Layout) -> Iterator[OneMachine]:
    with OneMachine(layout, print) as machine:
        yield machine


@pytest.fixture
def agents(machine: OneMachine) -> Iterator[Agents]:
    paced = [
        Microscope(scope.device, {**scope.source, "INTERVAL_S": "0.7"})
        for scope in simulated(MICROSCOPES, SLIDES, FIELDS)
    ]
    with Agents(paced, machine.layout) as agents:
        yield agents


def kill(machine: OneMachine, name: str) -> None:
    os.kill(machine.pids[name], signal.SIGKILL)


def kill_and_wipe_broker(machine: OneMachine) -> None:
    kill(machine, "broker (Mosquitto)" if find_mosquitto() else "broker (iotcore)")
    shutil.rmtree(machine.layout.home / "broker" / "store", ignore_errors=True)


def restart_postgres(machine: OneMachine) -> None:
    """In good order: every connection is cut, and refused for some seconds."""
    os.kill(machine.pids["database (PostgreSQL)"], STOP_SIGNAL)


def crash_postgres(machine: OneMachine) -> None:
    """One backend killed outright makes the server drop all and recover from its log."""
    folder = machine.layout.home / "postgres" / "data"
    postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    backend = next(p for p in postmaster.children() if "idle" in " ".join(p.cmdline()))
    backend.kill()


def take_object_store_away(machine: OneMachine) -> None:
    """For some seconds, a file stands where the directory was."""
    objects = machine.layout.home / "objects"
    away = objects.with_name("objects-away")
    objects.rename(away)
    objects.touch()
    time.sleep(3)
    objects.unlink()
    away.rename(objects)


BLOWS: list[Callable[[OneMachine], None]] = [
    lambda machine: kill(machine, "ingest"),
    kill_and_wipe_broker,
    lambda machine: kill(machine, "infer"),
    restart_postgres,
    take_object_store_away,
    crash_postgres,
    lambda machine: kill(machine, "infer"),
]


def test_every_captured_frame_has_one_terminal_state_whatever_is_killed(machine, agents):
    for blow in BLOWS:
        supervise(machine, BETWEEN_BLOWS_S)
        blow(machine)
        kill_an_agent()
        agents.revive()
    settle(machine, agents)
    captured = {slide.slide_id: slide.frames for _, slide in agents.slides()}
    assert len(captured) == MICROSCOPES * SLIDES
    assert set(captured.values()) == {FIELDS}, "a restart captured a field twice, or never"
    with psycopg.connect(machine.database_url) as connection:
        ledger = dict(
            connection.execute("select slide_id, count(*) from frames group by 1").fetchall()
        )
        pending = connection.execute("select count(*) from frames where state = 'pending'")
        unpredicted = connection.execute(
            f"select count(*) from cells left join {EACH_CELL} using (frame_id, index)"
            " where predicted.frame_id is null"
        )
        queued = connection.execute("select count(*) from work")
        dead = connection.execute("select reason, detail from dead_letters").fetchall()
        assert ledger == captured
        assert pending.fetchone() == (0,)
        assert unpredicted.fetchone() == (0,)
        assert queued.fetchone() == (0,)
        assert dead == []
    engine = make_engine(machine.database_url)
    with unit_of_work(engine) as connection:
        assert miscounted_slides(connection) == []
    engine.dispose()


def supervise(machine: OneMachine, seconds: float) -> None:
    """Start again what has ended, for so long and until PostgreSQL answers."""
    began = time.monotonic()
    while time.monotonic() - began < seconds or not answers(machine):
        machine.revive()
        assert time.monotonic() - began < 120, "PostgreSQL does not come back"
        time.sleep(0.2)


def answers(machine: OneMachine) -> bool:
    try:
        psycopg.connect(machine.database_url, connect_timeout=5).close()
    except (psycopg.Error, PermanentError):
        return False
    return True


def kill_an_agent() -> None:
    """The one that has run longest, while it captures."""
    agents = [
        process
        for process in psutil.Process().children()
        if process.status() != psutil.STATUS_ZOMBIE and "hemaline_edge" in process.cmdline()
    ]
    if agents:
        min(agents, key=lambda process: process.create_time()).kill()


def settle(machine: OneMachine, agents: Agents) -> None:
    """Revive agents as a supervisor does, until all is drained and nothing is pending."""
    deadline = time.monotonic() + ALL_SETTLED_S
    while not (agents.drained and nothing_pending(machine)):
        assert time.monotonic() < deadline, [agents.log_tail("scope-1"), agents.log_tail("scope-2")]
        agents.revive()
        supervise(machine, 0.3)


def nothing_pending(machine: OneMachine) -> bool:
    with psycopg.connect(machine.database_url) as connection:
        row = connection.execute("select count(*) from frames where state = 'pending'").fetchone()
        return row == (0,)
