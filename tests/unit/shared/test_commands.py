"""Every command ends with a sentence and a status, never with a trace that nobody asked for."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hemaline_edge.cli import app as edge_app
from hemaline_shared.commands import command_line
from hemaline_shared.errors import PermanentError, TransientError

COMMANDS = ["hemaline", "hemaline-edge", "hemaline-cloud", "hemaline-train"]


def ending_with(error):
    app = command_line("hemaline-test", "For a test.", part="train")

    @app.command()
    def act() -> None:
        raise error

    @app.command()
    def other() -> None:
        pass

    return CliRunner().invoke(app, ["act"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_version(name):
    command = str(Path(sys.executable).with_name(name))
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{name} {version('hemaline')}\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PermanentError("bad", "set [this] to [/that] for postgresql://me:Geheim42@db/x"), 2),
        (TransientError("away", "set [this] to [/that] for postgresql://me:Geheim42@db/x"), 1),
    ],
)
def test_a_failure_is_one_sentence_without_a_secret(error, status):
    result = ending_with(error)
    assert result.exit_code == status
    assert result.stderr == "✗ set [this] to [/that] for postgresql://***@db/x\n"
    assert result.stdout == ""


def test_a_part_that_is_not_installed_is_named_with_what_brings_it():
    result = ending_with(ModuleNotFoundError("No module named 'sklearn'", name="sklearn.metrics"))
    assert result.exit_code == 2
    assert result.stderr.startswith("✗ this needs sklearn.metrics, which is not installed")
    assert "make setup-train" in result.stderr
    assert "'hemaline[train]'" in result.stderr


def test_a_part_of_our_own_that_is_missing_is_a_defect():
    result = ending_with(ModuleNotFoundError("No module named 'x'", name="hemaline_train.nowhere"))
    assert isinstance(result.exception, ModuleNotFoundError)


def test_a_defect_is_told_as_one_and_without_a_secret(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    result = ending_with(RuntimeError("postgresql://me:Geheim42@db/x"))
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "please report it" in result.stderr
    assert "Geheim" not in result.stderr
    assert "│" not in result.stderr


CRASHING = """
from hemaline_shared.commands import command_line
from hemaline_shared.logs import set_up_logging
app = command_line("hemaline-test", "For a test.", part="train")
@app.command()
def act():
    set_up_logging("info", "json")
    raise RuntimeError("unexpected")
@app.command()
def other(): pass
app()
"""


def test_a_defect_of_a_process_with_a_json_log_is_one_json_line():
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, "act"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stderr)["exception"].endswith("RuntimeError: unexpected")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("argument", ["[/b]", "[red]no[/red]", "--no[/such]"])
def test_a_wrong_argument_with_brackets_is_told_as_it_is(name, argument):
    command = str(Path(sys.executable).with_name(name))
    done = subprocess.run([command, argument], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert argument in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", [["run"], ["spool"], ["spool", "retry"]])
def test_help_needs_no_settings(verb):
    told = CliRunner().invoke(edge_app, [*verb, "--help"])
    assert told.exit_code == 0, told.output
    assert told.output.startswith("Usage:")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/nope"),
        NotADirectoryError(errno.ENOTDIR, "Not a directory", Path("/nope")),
        OSError(errno.ELOOP, "Too many levels of symbolic links", "/nope"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_line(error):
    ended = ending_with(error)
    assert ended.exit_code == 2
    assert ended.output == f"✗ /nope cannot be used: {error.strerror}\n"


def test_a_name_that_is_no_text_is_told_in_one_line():
    with pytest.raises(UnicodeEncodeError) as caught:
        os.fsdecode(b"x\xff").encode()
    ended = ending_with(caught.value)
    assert ended.exit_code == 2
    assert ended.output == "✗ 'x\\udcff' is no text in UTF-8\n"


INTERRUPTED = """
import importlib, os, runpy, signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
runpy.run_module(sys.argv.pop(), run_name="__main__")
"""


@pytest.mark.parametrize("package", ["hemaline_local", "hemaline_edge", "hemaline_cloud"])
def test_ctrl_c_while_a_command_is_imported_shows_no_trace(package):
    command = [sys.executable, "-c", INTERRUPTED, package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
