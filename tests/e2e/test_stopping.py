"""`hemaline` asked to stop, however and whenever: no process and no folder stays behind."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from parts.bundles import tiny_untrained
from parts.waiting import wait_until

HEMALINE = str(Path(sys.executable).with_name("hemaline"))
LONG_S = 300
"""For whatever must come; never a measurement."""
PAUSE_S = 0.7

pytestmark = pytest.mark.timeout(900)


class System:
    """A running `hemaline`, its words in a file, and every process that it ever started."""

    def __init__(self, env: dict[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        self.seen: dict[int, psutil.Process] = {}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [HEMALINE, *arguments], env=env, stdout=output, stderr=subprocess.STDOUT
            )

    def says(self, words: str) -> bool:
        """Whether it has said so; fails when it ended without."""
        self.look()
        if words in self.text():
            return True
        assert self.process.poll() is None, self.text()
        return False

    def wait_for(self, words: str) -> None:
        wait_until(lambda: self.says(words), LONG_S, every_s=0.2)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def look(self) -> None:
        """Note the processes below it, and below those that it had."""
        known, found = {self.process.pid, *self.seen}, True
        others = [one for one in psutil.process_iter(["ppid"]) if one.pid not in known]
        while found:
            found = [one for one in others if one.info["ppid"] in known and one.pid not in known]
            known.update(one.pid for one in found)
            self.seen.update({one.pid: one for one in found})

    def left(self) -> list[str]:
        """Return the command lines of those that still run."""
        lines = []
        for process in self.seen.values():
            with suppress(psutil.Error):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    lines.append(" ".join(process.cmdline()))
        return lines

    def send(self, *numbers: signal.Signals) -> None:
        """Send the signals, with a pause between each and the next."""
        for place, number in enumerate(numbers):
            if place:
                time.sleep(PAUSE_S)
            self.look()
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def end(self) -> None:
        """Whatever happened, leave nothing to the next test."""
        self.look()
        self.process.kill()
        for process in self.seen.values():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Start `hemaline` with a small bundle; `up` in one home for the whole test."""
    bundle = tiny_untrained(tmp_path / "bundle")
    env = {**os.environ, "HEMALINE_BUNDLE": str(bundle), "XDG_STATE_HOME": str(tmp_path / "state")}
    # Where PostgreSQL's user may reach it, also in a run as root.
    env["TMPDIR"] = str(home.parent)
    started: list[System] = []

    def start_one(*arguments: str) -> System:
        if arguments[0] == "up":
            arguments = (*arguments, "--home", str(home), "--broker-port", "0", "--port", "0")
        else:
            arguments = (*arguments, "--port", "0")
        system = System(env, tmp_path / f"out-{len(started)}", *arguments)
        started.append(system)
        return system

    yield start_one
    for system in started:
        system.end()


def assert_nothing_stays(system: System, home: Path) -> None:
    system.process.wait(LONG_S)
    wait_until(lambda: not system.left(), LONG_S)
    assert system.seen, "it never started a process, so this test says nothing"
    assert "Traceback" not in system.text()
    strays = [path.name for path in home.parent.iterdir() if path != home]
    assert strays == []


TWICE = [signal.SIGTERM, signal.SIGTERM]


@pytest.mark.parametrize("words", ["", "api is ready"])
def test_a_system_that_is_asked_twice_while_it_starts_leaves_nothing(start, home, words):
    system = start("up")
    wait_until(lambda: system.says(words) and system.seen, LONG_S)
    system.send(*TWICE)
    assert_nothing_stays(system, home)


def test_a_demo_that_is_asked_twice_leaves_neither_process_nor_folder(start, home):
    system = start("demo", "--microscopes", "1", "--fields", "4")
    system.wait_for("arrives: http")
    system.send(*TWICE)
    assert_nothing_stays(system, home)
    assert not list(home.parent.iterdir())


def test_a_closed_terminal_ends_the_system(home, tmp_path, start):
    """The kernel sends SIGHUP, and every write to the terminal fails from then on."""
    del start  # for the folder alone
    master, slave = pty.openpty()
    bundle = tiny_untrained(tmp_path / "own")
    command = [HEMALINE, "up", "--home", str(home), "--broker-port", "0", "--port", "0"]

    # The first terminal that a session's leader opens becomes its own.
    take = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); "
    take += "os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", take, *command],
        env={**os.environ, "HEMALINE_BUNDLE": str(bundle), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    text = b""
    while b"Results: " not in text:
        text += os.read(master, 4096)
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 5
    os.close(master)
    try:
        assert process.wait(LONG_S) == 0
        assert psutil.wait_procs(below, LONG_S)[1] == []
    finally:
        for left in [each for each in below if each.is_running()]:
            left.kill()
        process.kill()
        process.wait()


def test_a_second_system_on_one_home_is_refused_and_the_first_goes_on_until_asked(start, home):
    first = start("up", "--microscopes", "1")
    first.wait_for("Results: ")
    second = start("up")
    assert second.process.wait(LONG_S) == 2
    assert second.text().count("\n") == 1
    assert f"another hemaline (process {first.process.pid}) uses {home}" in second.text()
    configuration = (home / "broker" / "mosquitto.conf").read_text()
    assert f"listener {_broker_port(first)} " in configuration
    first.send(signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    assert_nothing_stays(first, home)
    assert "stopping …" in first.text()
    assert first.process.returncode == 0


def _broker_port(system: System) -> str:
    return system.text().partition("broker for edge agents: 127.0.0.1, port ")[2].split()[0]


def test_a_system_that_follows_a_killed_one_waits_for_its_end_and_starts(start, home):
    first = start("up", "--microscopes", "1")
    first.wait_for("Results: ")
    first.look()
    first.process.kill()
    first.process.wait()
    second = start("up", "--microscopes", "1")
    second.wait_for("Results: ")
    assert first.left() == []
    second.send(signal.SIGTERM)
    assert_nothing_stays(second, home)


def test_the_folder_of_a_demo_that_was_killed_goes_with_the_next_demo(start, home):
    killed = start("demo")
    killed.wait_for("database (PostgreSQL) is ready")
    killed.look()
    killed.process.kill()
    killed.process.wait()
    wait_until(lambda: not killed.left(), LONG_S)
    (left,) = home.parent.iterdir()
    following = start("demo")
    following.wait_for("database (PostgreSQL) is ready")
    assert not left.exists()
    following.send(signal.SIGTERM)
    assert_nothing_stays(following, home)
    assert list(home.parent.iterdir()) == []
