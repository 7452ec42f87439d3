"""A sentence reaches a person on any terminal, or none."""

import os
import subprocess
import sys

import pytest

SAYING = """
import sys
from hemaline_shared.terminal import complain, prepare_terminal, say
prepare_terminal()
say("✓ 3 µm … [/b] [red]M\\udcfcller[/red]")
complain("Zürich ✗")
"""


@pytest.fixture
def run(tmp_path):
    script = tmp_path / "saying.py"
    script.write_text(SAYING, encoding="utf-8")

    def run_with(**env):
        command = [sys.executable, str(script)]
        env = {**os.environ, **env}
        return subprocess.run(command, env=env, capture_output=True, check=True)

    return run_with


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "TERM": "dumb"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"},
    ],
)
def test_what_an_encoding_lacks_is_spelt_out(run, env):
    done = run(**env)
    assert done.stdout == b"ok 3 um ... [/b] [red]M\\xfcller[/red]\n"
    assert done.stderr == b"x Z\\xfcrich x\n"


def test_a_name_that_is_no_text_and_brackets_are_shown_as_they_are(run):
    done = run(PYTHONIOENCODING="utf-8")
    assert done.stdout.decode() == "✓ 3 µm … [/b] [red]M\\xfcller[/red]\n"


BROKEN = """
import sys
from hemaline_shared.terminal import complain, say
sys.stdin.readline()
for _ in range(3):
    say("nobody reads this " * 10_000)
print("still here", file=sys.stderr)
"""


def test_a_reader_that_has_gone_ends_no_work():
    """As in `hemaline up | head -1`."""
    with subprocess.Popen(
        [sys.executable, "-c", BROKEN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        process.wait(120)
        assert process.returncode == 0
