"""The spool's image files: written so that no power cut leaves half of one."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from hemaline_shared.errors import TransientError

_SUFFIX = ".cbor"
_PART = ".part"


class ImageFiles:
    """One directory of packed images, each under its message's id."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        sync_directory(directory.parent)
        self._directory = directory

    def path(self, message_id: UUID) -> Path:
        """Where a message's images lie."""
        return self._directory / f"{message_id}{_SUFFIX}"

    def write(self, message_id: UUID, packed: bytes) -> None:
        """Write, fsync, rename, fsync the directory: after this the images survive a power cut.

        Raises:
            TransientError: `spool-full` or `spool-unwritable`; nothing was left behind.
        """
        path = self.path(message_id)
        part = path.with_suffix(_PART)
        try:
            with part.open("wb", buffering=0) as file:
                view = memoryview(packed)
                while view:
                    view = view[file.write(view) :]
                os.fsync(file.fileno())
            part.rename(path)
            sync_directory(self._directory)
        except OSError as error:
            self._unlink(part)
            self._unlink(path)
            raise _explained(error, self._directory) from error

    def read(self, message_id: UUID) -> bytes | None:
        """Return the packed images; None when there is no such file.

        Raises:
            TransientError: `spool-unreadable`.
        """
        try:
            return self.path(message_id).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TransientError("spool-unreadable", str(error)) from error

    def remove(self, message_id: UUID) -> None:
        """Delete the images if they are there; what stays is an orphan of the next start."""
        self._unlink(self.path(message_id))

    def set_aside(self, message_id: UUID) -> None:
        """Keep a damaged file for a person to look at, out of the spool's way."""
        path = self.path(message_id)
        with suppress(OSError):
            path.rename(path.with_suffix(".damaged"))

    def sizes(self) -> Iterator[tuple[UUID, int]]:
        """Yield the id and size of every whole file."""
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX):
                    with suppress(ValueError):
                        yield UUID(entry.name.removesuffix(_SUFFIX)), entry.stat().st_size

    def remove_parts(self) -> int:
        """Delete what a kill left half written; return how many."""
        parts = list(self._directory.glob(f"*{_PART}"))
        for part in parts:
            self._unlink(part)
        return len(parts)

    @staticmethod
    def _unlink(path: Path) -> None:
        with suppress(OSError):
            path.unlink()


def _explained(error: OSError, directory: Path) -> TransientError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return TransientError("spool-full", f"the disk of {directory} is full")
    return TransientError("spool-unwritable", f"cannot write to {directory}: {error.strerror}")


def sync_directory(directory: Path) -> None:
    """Make the directory's names durable: without it a rename may be lost with the power."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
