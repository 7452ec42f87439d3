"""Folders for servers that do not run as the user of the tests, and their removal after a kill."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
_PREFIX = "hemaline-test-"
_DATABASES_BYTES = 4 << 30
_YOUNG_S = 60.0


def memory() -> Path | None:
    """Where files cost no disk, if there is room: some disks take minutes to delete databases."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > _DATABASES_BYTES
    return MEMORY if roomy else None


@contextmanager
def readable_folder(within: Path | None = None) -> Iterator[Path]:
    """A folder outside pytest's own, which each run as root closes to PostgreSQL's user."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=within))
    with _held(folder):
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(within: Path) -> None:
    """Remove the folders that killed runs left: gigabytes of memory, in `MEMORY`."""
    for folder in within.glob(f"{_PREFIX}*"):
        try:
            young = time.time() - folder.stat().st_mtime < _YOUNG_S
            if not young:  # its run may not hold it yet
                with _held(folder):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # a run holds it, or it is another user's
            continue


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder while its run lives, however that ends; raises OSError if another does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
