"""The agent under a supervisor: progress is told only while there is some."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hemaline_edge.agent import Agent
from hemaline_edge.settings import EdgeSettings, SimulatorSettings, SpoolSettings
from hemaline_shared.broker import BrokerSettings
from parts.waiting import LONG_S

TOLD_EVERY_S = 0.2


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(LONG_S)
        monkeypatch.setenv("NOTIFY_SOCKET", listener.getsockname())
        monkeypatch.setenv("WATCHDOG_USEC", str(int(TOLD_EVERY_S * 2e6)))
        yield listener


@pytest.fixture
def agent(tmp_path: Path, supervisor: socket.socket) -> Iterator[Agent]:
    """An agent that runs without a broker, and has said so."""
    settings = EdgeSettings(
        site="lab",
        device="scope",
        source=SimulatorSettings(slides=1, fields=1, width=256, height=256),
        spool=SpoolSettings(path=tmp_path / "spool", disk_floor_bytes=0),
        broker=BrokerSettings(port=1),
    )
    agent = Agent(settings)
    thread = threading.Thread(target=agent.run)
    thread.start()
    assert supervisor.recv(100) == b"READY=1"
    yield agent
    agent.stop()
    thread.join(LONG_S)


def no_progress_is_told_while(
    hanging: threading.Event, let_go: threading.Event, supervisor: socket.socket
) -> None:
    """Wait for the hang; then nothing comes until it is let go, and then it does again."""
    assert hanging.wait(LONG_S)
    supervisor.settimeout(10 * TOLD_EVERY_S)
    with suppress(TimeoutError):
        for _ in range(3):  # what was told before the hang
            supervisor.recv(100)
        pytest.fail("progress is told while there is none")
    let_go.set()
    supervisor.settimeout(LONG_S)
    assert supervisor.recv(100) == b"WATCHDOG=1"


def hang(
    work: Callable[[], object],
) -> tuple[Callable[[], object], threading.Event, threading.Event]:
    hanging, let_go = threading.Event(), threading.Event()

    def hung() -> object:
        hanging.set()
        let_go.wait(LONG_S)
        return work()

    return hung, hanging, let_go


def test_progress_is_told_without_a_network_and_the_end_too(
    agent: Agent, supervisor: socket.socket
) -> None:
    assert {supervisor.recv(100) for _ in range(5)} == {b"WATCHDOG=1"}
    agent.stop()
    while (told := supervisor.recv(100)) == b"WATCHDOG=1":
        pass
    assert told == b"STOPPING=1"


def test_a_publisher_that_hangs_is_no_progress(
    agent: Agent, supervisor: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = agent._publisher._sender
    hung, hanging, let_go = hang(sender.send_what_is_due)
    monkeypatch.setattr(sender, "send_what_is_due", hung)
    no_progress_is_told_while(hanging, let_go, supervisor)


def test_a_spool_that_does_not_answer_is_no_progress(
    agent: Agent, supervisor: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, hanging, let_go = hang(agent._spool.contents)
    monkeypatch.setattr(agent._spool, "contents", hung)
    no_progress_is_told_while(hanging, let_go, supervisor)
