"""One writer for each spool."""

import fcntl
import os
from pathlib import Path

from hemaline_shared.errors import PermanentError, TransientError


def hold(directory: Path) -> int:
    """Make the directory and hold its lock; the system lets it go however this process ends.

    Returns:
        A descriptor; closing it lets go.

    Raises:
        TransientError: `spool-unwritable`.
        PermanentError: `spool-in-use`.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        raise TransientError(
            "spool-unwritable",
            f"{directory} cannot be written ({error.strerror}): give the agent's user the right "
            "to write there, or set spool.path to another directory",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise PermanentError(
            "spool-in-use",
            f"another hemaline-edge uses {directory}: stop it first, or give each its own spool",
        ) from error
    return handle
