"""A free port is one process's own, whoever else asks, and no outgoing connection takes it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hemaline_local import ports
from hemaline_local.ports import free_port
from hemaline_shared.errors import PermanentError

_ASK = "from hemaline_local import ports; ports._PORTS = range({}, {}); print(ports.free_port())"


def test_no_port_is_given_twice():
    assert len({free_port() for _ in range(50)}) == 50


def test_a_port_that_one_process_was_given_is_not_given_to_another_before_its_server_listens():
    port = free_port()
    beside = ask(port, port + 1, TMPDIR="/nowhere", HOME="/nowhere")
    assert beside.returncode
    assert "no-free-port" in beside.stderr


def test_the_port_of_a_process_that_has_ended_is_given_again():
    port = int(ask(21000, 21400).stdout)
    assert int(ask(port, port + 1).stdout) == port


def test_a_port_on_which_a_server_listens_that_never_asked_is_not_given(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(ports, "_PORTS", range(taken, taken + 1))
        with pytest.raises(PermanentError, match="is taken"):
            free_port()


@pytest.mark.skipif(sys.platform != "linux", reason="the range is told by Linux alone")
def test_no_outgoing_connection_is_given_such_a_port():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < lowest for _ in range(20))


def ask(first, end, **env):
    return subprocess.run(
        [sys.executable, "-c", _ASK.format(first, end)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | env,
    )
