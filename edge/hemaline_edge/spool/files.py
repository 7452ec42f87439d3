"""The spool's directory: its lock, and image files of which no power cut leaves half."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from hemaline_edge.spool.records import KeptFile, KeptState
from hemaline_shared.durable import sync_directory
from hemaline_shared.errors import PermanentError, TransientError

_SUFFIX = ".cbor"
_PART = ".part"
_ORPHAN = ".orphan"
_ORPHANS_KEPT_S = 7 * 24 * 3600
_RESERVE_BYTES = 1024**2
_KEPT_STATES: dict[str, KeptState] = {"kept": "kept", "damaged": "damaged", "orphan": "orphan"}
_T = TypeVar("_T")


class ImageFiles:
    """One directory of packed images, each under its message's id."""

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            sync_directory(directory.parent)
        except OSError as error:
            raise _explained(error, directory) from error
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
            raise TransientError(
                "spool-unreadable", f"{self.path(message_id)} cannot be read: {error.strerror}"
            ) from error

    def check(self) -> None:
        """Write and read a file: does the disk work, whatever became of one file on it?

        Raises:
            TransientError: `spool-unreadable`.
        """
        probe = self._directory / "probe"
        try:
            probe.write_bytes(b"probe")
            whole = probe.read_bytes() == b"probe"
            probe.unlink()
        except OSError as error:
            raise TransientError(
                "spool-unreadable", f"{self._directory} cannot be used: {error.strerror}"
            ) from error
        if not whole:
            raise TransientError("spool-unreadable", f"{self._directory} loses what is written")

    def remove(self, message_id: UUID) -> None:
        """Delete the images if they are there; what stays is an orphan of the next start."""
        self._unlink(self.path(message_id))

    def set_aside(self, message_id: UUID, state: KeptState) -> None:
        """Keep images out of the spool's way, until a person decides about them."""
        path = self.path(message_id)
        with suppress(OSError):
            path.rename(path.with_suffix(f".{state}"))

    def kept(self) -> list[KeptFile]:
        """Return what was set aside, longest ago first."""
        found = []
        with os.scandir(self._directory) as entries:
            for entry in entries:
                name, _, suffix = entry.name.rpartition(".")
                with suppress(ValueError, OSError):
                    if state := _KEPT_STATES.get(suffix):
                        told = entry.stat()
                        since = datetime.fromtimestamp(told.st_mtime, UTC)
                        found.append(KeptFile(UUID(name), state, told.st_size, since))
        return sorted(found, key=lambda file: (file.since, file.message_id))

    def read_kept(self, file: KeptFile) -> bytes:
        """Return images that were set aside.

        Raises:
            TransientError: `spool-unreadable`.
        """
        path = self.path_of_kept(file)
        try:
            return path.read_bytes()
        except OSError as error:
            raise TransientError(
                "spool-unreadable", f"{path} cannot be read: {error.strerror}"
            ) from error

    def path_of_kept(self, file: KeptFile) -> Path:
        """Where images lie that were set aside."""
        return self.path(file.message_id).with_suffix(f".{file.state}")

    def put_back(self, file: KeptFile) -> None:
        """Undo `set_aside`, durably.

        Raises:
            TransientError: `spool-full` or `spool-unwritable`.
        """
        try:
            self.path_of_kept(file).rename(self.path(file.message_id))
            sync_directory(self._directory)
        except OSError as error:
            raise _explained(error, self._directory) from error

    def remove_kept(self, file: KeptFile) -> None:
        """Delete images that were set aside.

        Raises:
            TransientError: `spool-unwritable`.
        """
        try:
            self.path_of_kept(file).unlink(missing_ok=True)
            sync_directory(self._directory)
        except OSError as error:
            raise _explained(error, self._directory) from error

    def sizes(self) -> Iterator[tuple[UUID, int | None]]:
        """Yield the id and size of every whole file; no size where the disk does not tell it."""
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX):
                    with suppress(ValueError):
                        yield UUID(entry.name.removesuffix(_SUFFIX)), _size_of(entry)

    def remove_parts(self) -> int:
        """Delete what a kill left half written; return how many."""
        parts = list(self._directory.glob(f"*{_PART}"))
        for part in parts:
            self._unlink(part)
        return len(parts)

    def set_orphans_aside(self, message_ids: Iterable[UUID]) -> None:
        """Take files without a row out of the way, and delete those of more than a week ago.

        They were receipted, or are captured again; unless the index itself was lost, and then
        nobody else has them.
        """
        for message_id in message_ids:
            path = self.path(message_id)
            with suppress(OSError):
                path.touch()
                path.rename(path.with_suffix(_ORPHAN))
        for orphan in self._directory.glob(f"*{_ORPHAN}"):
            with suppress(OSError):
                if time.time() - orphan.stat().st_mtime > _ORPHANS_KEPT_S:
                    orphan.unlink()

    @staticmethod
    def _unlink(path: Path) -> None:
        with suppress(OSError):
            path.unlink()


class Reserve:
    """Room that is held on the disk for forgetting: that, too, must be written down first.

    Without it a spool on a disk that somebody filled to the last byte could never become smaller,
    however many receipts came.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "reserve"
        self.hold()

    def hold(self) -> bool:
        """Take the room again, or as much of it as there is; return whether all is held."""
        with suppress(OSError), self._path.open("ab") as file:
            if os.fstat(file.fileno()).st_size >= _RESERVE_BYTES:
                return True
            for part in (1, 2, 4, 8):
                with suppress(OSError):
                    os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES // part)
                    return part == 1
        return False

    def used_if_full(self, act: Callable[[], _T]) -> _T:
        """Act; where the disk is too full for it, give the room up, act again, and take it back.

        Raises:
            TransientError: `spool-full`: there was none to give up. Or what `act` raises.
        """
        try:
            return act()
        except TransientError as error:
            if error.reason != "spool-full":
                raise
        with suppress(OSError):
            self._path.unlink()
        try:
            return act()
        finally:
            self.hold()


def _size_of(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat().st_size
    except OSError:
        return None


def _explained(error: OSError, directory: Path) -> TransientError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return TransientError("spool-full", f"the disk of {directory} is full")
    return TransientError("spool-unwritable", f"cannot write to {directory}: {error.strerror}")


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
