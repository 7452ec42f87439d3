"""What systemd is told, over a real datagram socket."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hemaline_edge.service_manager import ServiceManager


class Listener:
    """systemd's end of the notification."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self.address = address

    def heard(self) -> list[str]:
        """What has come since the last call, in order: a datagram is there when it was sent."""
        told = []
        while True:
            try:
                told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    name = f"@hemaline-test-{os.getpid()}-{time.monotonic_ns()}"
    listener = Listener(name if request.param == "abstract" else str(tmp_path / "notify"))
    yield listener
    listener.close()


def manager(systemd: Listener, **more: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": systemd.address, **more})


def test_start_and_end_are_told(systemd):
    told = manager(systemd)
    told.ready()
    told.stopping()
    assert systemd.heard() == ["READY=1", "STOPPING=1"]


def test_a_turning_loop_is_told_once_in_half_of_the_watchdogs_time(systemd):
    told = manager(systemd, WATCHDOG_USEC="60000000")
    for _turn in range(100):
        told.alive()
    assert systemd.heard() == ["WATCHDOG=1"]


def test_a_loop_that_goes_on_is_told_again(systemd):
    told = manager(systemd, WATCHDOG_USEC="20000")
    told.alive()
    time.sleep(0.02)
    told.alive()
    assert systemd.heard() == ["WATCHDOG=1", "WATCHDOG=1"]


def test_a_loop_that_stands_still_is_not_told(systemd):
    manager(systemd, WATCHDOG_USEC="1000")
    time.sleep(0.02)  # no thread of its own speaks for the loop
    assert systemd.heard() == []


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
    ids=["no watchdog", "no number", "of another process"],
)
def test_without_a_watchdog_of_ours_no_sign_of_life_is_sent(systemd, environment):
    manager(systemd, **environment).alive()
    assert systemd.heard() == []


def test_without_systemd_nothing_happens():
    told = ServiceManager({})
    told.ready()
    told.alive()
    told.stopping()


def test_a_socket_that_is_gone_ends_nothing(systemd, tmp_path, caplog):
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert "systemd was not told READY=1" in caplog.text
