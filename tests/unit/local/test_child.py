"""Child processes: ready, stopped, and never left behind."""

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from hemaline_local.child import Child
from hemaline_local.ports import answers, free_port
from hemaline_shared.errors import PermanentError
from parts.waiting import LONG_S

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
_DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
_STARTER = """
import sys, time
from pathlib import Path
from hemaline_local.child import Child
from hemaline_local.ports import answers, free_port
command = [sys.executable, "-c", "import time; time.sleep(60)"]
print(Child("sleeper", command, Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


def test_a_stopped_child_is_gone(tmp_path):
    child = Child("sleeper", SLEEP, tmp_path / "log")
    child.stop()
    assert not psutil.pid_exists(child.pid)


def test_a_child_that_does_not_listen_is_killed(tmp_path):
    child = Child("deaf", [sys.executable, "-c", _DEAF], tmp_path / "log")
    child.wait_ready(lambda: "deaf" in child.log_tail(), timeout_s=300)
    child.stop(timeout_s=0.3)
    assert child.exit_status == -signal.SIGKILL


def test_a_child_that_ends_before_it_is_ready_is_told_with_its_log(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no room on the disk')"]
    child = Child("ingest", command, tmp_path / "log")
    with pytest.raises(
        PermanentError, match=r"ingest ended with status 1.*\n.*no room on the disk"
    ):
        child.wait_ready(lambda: False, timeout_s=300)


def test_a_child_that_is_never_ready_is_stopped(tmp_path):
    child = Child("sleeper", SLEEP, tmp_path / "log")
    with pytest.raises(PermanentError, match="was not ready within"):
        child.wait_ready(lambda: False, timeout_s=0.2)
    assert child.exit_status is not None


def test_a_port_where_somebody_else_answers_does_not_make_a_child_ready(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        child = Child("api", SLEEP, tmp_path / "log")
        with pytest.raises(PermanentError, match="was not ready within"):
            child.wait_ready(lambda: answers(port), timeout_s=0.5, port=port)


def test_a_child_that_listens_itself_is_ready(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    child = Child("api", command, tmp_path / "log")
    child.wait_ready(lambda: answers(port), timeout_s=LONG_S, port=port)
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its starter")
def test_a_child_dies_with_a_starter_that_was_killed_outright(tmp_path):
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout
    pid = int(starter.stdout.readline())
    _wait_until_sleeping(pid)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    assert _gone(pid)


def _wait_until_sleeping(pid: int) -> None:
    """It is tied to its starter once the command has taken its place."""
    deadline = time.monotonic() + 300
    while "hemaline_local.end_with_parent" in " ".join(psutil.Process(pid).cmdline()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
