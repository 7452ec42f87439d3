"""Files that are there whole or not at all, and stay, whenever the power goes."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file in the place of an earlier one; until it is whole, a hidden one lies beside it.

    Args:
        path: Its name.
        content: All of it.
        mode: Who may read it; None: as the process's mask says.
    """
    beside = path.with_name(f".{path.name}.unfinished")
    with beside.open("wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the directory's names durable: without it a rename may be lost with the power."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
