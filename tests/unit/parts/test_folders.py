"""What killed runs leave is removed, and nothing else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parts.folders import readable_folder, remove_abandoned

_HOUR_S = 3600
TESTS = Path(__file__).parents[2]
RUN = """
import sys, time
from pathlib import Path
from parts.folders import readable_folder
with readable_folder(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def age(folder: Path) -> None:
    long_ago = time.time() - _HOUR_S
    os.utime(folder, (long_ago, long_ago))


@pytest.fixture
def killed(tmp_path):
    """The folder of a run that was killed."""
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS) as run:
        folder = Path(run.stdout.readline().strip())
        run.send_signal(signal.SIGKILL)
    return folder


def test_the_folder_of_a_killed_run_is_removed(killed, tmp_path):
    age(killed)
    remove_abandoned(tmp_path)
    assert not killed.exists()


def test_a_folder_that_was_just_made_stays(killed, tmp_path):
    remove_abandoned(tmp_path)
    assert killed.exists()


def test_a_folder_of_a_run_that_lives_stays(tmp_path):
    with readable_folder(tmp_path) as folder:
        age(folder)
        remove_abandoned(tmp_path)
        assert folder.exists()
