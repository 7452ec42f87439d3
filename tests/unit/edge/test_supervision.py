"""What systemd is told of the agent."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hemaline_edge.supervision import Supervisor


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def environment(listener: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": listener.getsockname(), **more}


def test_start_progress_and_stop_are_told(listener: socket.socket) -> None:
    supervisor = Supervisor(environment(listener, WATCHDOG_USEC="1000000"))
    supervisor.ready()
    supervisor.alive(0.0)
    supervisor.stopping()
    told = [listener.recv(100) for _ in range(3)]
    assert told == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_progress_is_due_twice_in_the_time_that_systemd_grants(listener: socket.socket) -> None:
    supervisor = Supervisor(environment(listener, WATCHDOG_USEC="60000000"))
    assert supervisor.is_due(100.0)
    supervisor.alive(100.0)
    assert not supervisor.is_due(129.9)
    assert supervisor.is_due(130.0)


def test_a_name_outside_the_file_system_is_told_too() -> None:
    name = f"hemaline-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"},
    ],
    ids=["none", "zero", "no-number", "another-process"],
)
def test_no_progress_is_due_where_nobody_watches_this_process(
    listener: socket.socket, more: dict[str, str]
) -> None:
    assert not Supervisor(environment(listener, **more)).is_due(1e9)


def test_without_systemd_nothing_is_told() -> None:
    supervisor = Supervisor({"WATCHDOG_USEC": "1000000"})
    supervisor.ready()
    assert not supervisor.is_due(1e9)


def test_a_socket_that_is_gone_is_told_by_the_log_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready()
    assert "systemd was not told READY=1" in caplog.text
