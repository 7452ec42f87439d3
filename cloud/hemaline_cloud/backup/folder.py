"""How a backup lies in its folder, and what of it counts.

base/{time}/data         a base backup as pg_basebackup wrote it
base/{time}/backup.json  written last: without it the base backup does not count
base/.unfinished         the one that is being made, or was cut off
wal/                     what pg_receivewal wrote since
objects/                 the files of the object store, under their keys
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from hemaline_shared.durable import sync_directory, write_durably
from hemaline_shared.errors import PermanentError

_NAME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """A finished base backup.

    Attributes:
        path: Its folder.
        finished_at: By the clock of the machine that made it; a restore reaches no earlier time.
        first_segment: The WAL file that replay begins with.
        size: Bytes on the disk.
    """

    path: Path
    finished_at: datetime
    first_segment: str
    size: int

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.path / "data"


class BackupFolder:
    """The folder of one system's backup."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bases, self.wal, self.objects = root / "base", root / "wal", root / "objects"
        self.unfinished = self.bases / ".unfinished"

    def make(self) -> None:
        """Make what is not there yet; nobody else may read it, for it holds all that is known."""
        for folder in (self.root, self.bases, self.wal, self.objects):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Let one process at a time do `what` here; the lock of one that was killed is gone.

        Raises:
            PermanentError: `backup-busy`.
        """
        self.make()
        with (self.root / f".{what}.lock").open("w") as file:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise PermanentError(
                    "backup-busy", f"another process does this in {self.root} already ({what})"
                ) from None
            yield

    def finished(self) -> list[BaseBackup]:
        """Return the base backups that count, oldest first."""
        found = [_read(path) for path in sorted(self.bases.glob("[0-9]*"))]
        return [base for base in found if base]

    def finish(self, base: Path, finished_at: datetime, first_segment: str) -> BaseBackup:
        """Let a base backup count from now on, durably."""
        told = {
            "finished_at": finished_at.isoformat(),
            "first_segment": first_segment,
            "size": sum(file.stat().st_size for file in base.rglob("*") if file.is_file()),
        }
        write_durably(base / "backup.json", json.dumps(told).encode())
        final = self.bases / finished_at.strftime(_NAME)
        base.rename(final)
        sync_directory(self.bases)
        finished = _read(final)
        assert finished
        return finished

    def discard(self, base: BaseBackup) -> None:
        """Delete a base backup; one that is cut off half-deleted counts no more."""
        (base.path / "backup.json").unlink()
        sync_directory(base.path)
        shutil.rmtree(base.path)

    def remove_cut_off(self) -> None:
        """Remove what does not count; only under the lock `base`, or it is still being made."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        for path in self.bases.glob("[0-9]*"):
            if _read(path) is None:
                shutil.rmtree(path)


def _read(path: Path) -> BaseBackup | None:
    try:
        told = json.loads((path / "backup.json").read_bytes())
    except FileNotFoundError:
        return None
    finished_at = datetime.fromisoformat(told["finished_at"])
    return BaseBackup(path, finished_at, told["first_segment"], told["size"])
