"""A home has one runner, and what a demo made is cleared away."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hemaline_local import home as home_module
from hemaline_local.child import StoppedError
from hemaline_local.home import HomeLock, default_home, demo_home, sweep_demos, usable_home
from hemaline_local.services import kept_secret
from hemaline_shared.errors import PermanentError

HOLDING = """
import fcntl, os, sys, time
handle = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def silent(_line):
    pass


def hold(home, say=silent):
    return HomeLock(home, say, threading.Event())


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files is the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def test_a_second_runner_of_a_home_is_refused_and_told_who_has_it(tmp_path):
    first = hold(tmp_path / "home")
    with pytest.raises(PermanentError) as refused:
        hold(tmp_path / "home")
    assert refused.value.reason == "home-in-use"
    assert f"another hemaline (process {os.getpid()}) uses" in str(refused.value)
    first.release()
    hold(tmp_path / "home").release()


def leftover(home, seconds):
    """A process that has the lock and is not the runner that the file names."""
    lock = hold(home)
    lock.release()
    (home / "lock").write_text("999999999\n")
    command = [sys.executable, "-c", HOLDING, str(home / "lock"), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def test_what_a_killed_runner_left_is_waited_for(tmp_path):
    process = leftover(tmp_path / "home", 1)
    told = []
    hold(tmp_path / "home", told.append).release()
    assert told == ["waiting for the processes of an earlier run to end"]
    process.wait()


def test_what_never_ends_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(home_module, "_LEFTOVERS_S", 0.3)
    process = leftover(tmp_path / "home", 600)
    with pytest.raises(PermanentError, match="another hemaline uses"):
        hold(tmp_path / "home")
    process.kill()
    process.wait()


def test_the_wait_ends_when_somebody_asks_for_a_stop(tmp_path):
    process = leftover(tmp_path / "home", 600)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(StoppedError):
        HomeLock(tmp_path / "home", silent, stopping)
    process.kill()
    process.wait()


def test_a_file_where_the_home_should_be_is_told(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(PermanentError) as refused:
        hold(tmp_path / "home")
    assert refused.value.reason == "home-unusable"
    assert "--home" in str(refused.value)


def test_a_user_without_a_home_is_told(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(PermanentError, match="--home"):
        default_home()


def test_a_demo_leaves_neither_home_nor_logs(temporary):
    with demo_home(None) as (home, logs):
        (home / "data").mkdir()
        logs.mkdir(parents=True)
    assert not home.exists()
    assert not logs.exists()


def test_a_demo_that_fails_leaves_its_logs_and_nothing_else(temporary):
    made = []

    def fail() -> None:
        with demo_home(None) as folders:
            made.extend(folders)
            folders[1].mkdir(parents=True)
            (folders[1] / "ingest.log").write_text("why")
            raise PermanentError("child-failed", "ingest ended")

    with pytest.raises(PermanentError):
        fail()
    home, logs = made
    assert not home.exists()
    assert (logs / "ingest.log").read_text() == "why"


def test_a_home_that_was_named_stays(tmp_path):
    with demo_home(tmp_path / "mine") as (home, logs):
        home.mkdir()
        assert logs.is_relative_to(home)
    assert home.exists()


def test_the_homes_of_killed_demos_are_removed_and_a_running_one_is_not(temporary):
    hold(temporary / "hemaline-demo-killed").release()
    running = hold(temporary / "hemaline-demo-running")
    (temporary / "hemaline-demo-being-made").mkdir()
    sweep_demos()
    left = {path.name for path in temporary.glob("hemaline-demo-*")}
    assert left == {"hemaline-demo-running", "hemaline-demo-being-made"}
    running.release()


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", os.fsdecode(b"x\xffy")])
def test_a_home_whose_name_the_database_and_the_broker_do_not_take_is_told(tmp_path, name):
    with pytest.raises(PermanentError, match="name another directory with --home") as refused:
        usable_home(tmp_path / name)
    assert refused.value.reason == "home-unusable"
    assert str(refused.value).isprintable()


def test_a_home_has_one_path_however_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "ein Ordner [é], 日本").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ein Ordner [é], 日本")
    monkeypatch.chdir(tmp_path)
    assert usable_home(Path("link/home")) == tmp_path / "ein Ordner [é], 日本" / "home"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PermanentError, match="cannot be found"):
        usable_home(tmp_path / "loop" / "home")


def test_a_secret_is_made_once_and_a_lost_one_is_told_and_not_replaced(tmp_path):
    file = tmp_path / "identity-key"
    secret = kept_secret(file)
    assert len(secret) > 40
    assert kept_secret(file) == secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["identity-key"]
    file.write_text("")
    with pytest.raises(PermanentError, match="is empty: put it back from a backup"):
        kept_secret(file)
