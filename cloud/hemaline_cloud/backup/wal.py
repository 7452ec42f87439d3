"""The archive of the WAL: pg_receivewal writes it as it comes, from a slot that loses nothing.

The server keeps in the slot `hemaline_backup` what the archive does not have yet; so an archive
that is away loses nothing, and fills the server's disk unless `max_slot_wal_keep_size` bounds it.
"""

import logging
import os
import re
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Connection, text

from hemaline_cloud.backup.folder import BackupFolder
from hemaline_cloud.backup.programs import connection, program, run
from hemaline_cloud.settings import BackupSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.redaction import redact

logger = logging.getLogger(__name__)

SLOT = "hemaline_backup"
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
_STATUS_S = 1
_POLL_S = 0.1
_STOP_S = 20

_POSITION = text("select pg_current_wal_flush_lsn()::text")
_SLOT_STATE = text(
    "select wal_status, coalesce(restart_lsn >= cast(:position as pg_lsn), false)"
    " from pg_replication_slots where slot_name = :slot"
)


def make_slot(settings: BackupSettings) -> None:
    """Let the server keep, from now on, what the archive does not have yet; safe to repeat.

    Raises:
        TransientError: `postgres-program-failed`.
    """
    address, environment = connection(settings)
    making = [program(settings, "pg_receivewal"), "--dbname", address, "--slot", SLOT]
    making += ["--create-slot", "--if-not-exists", "--no-password"]
    run(making, environment, settings.backup)


class Receiver:
    """Keeps one pg_receivewal running; at the end it stops in good order."""

    def __init__(self, settings: BackupSettings, folder: BackupFolder) -> None:
        self._settings = settings
        address, self._environment = connection(settings)
        self._receive = [program(settings, "pg_receivewal"), "--dbname", address, "--slot", SLOT]
        self._receive += ["--directory", str(folder.wal), "--synchronous", "--no-password"]
        self._receive += ["--no-loop", f"--status-interval={_STATUS_S}"]
        self._wal = folder.wal
        self._log = folder.root / "pg_receivewal.log"
        self._pid_file = folder.root / "pg_receivewal.pid"
        self._running: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        """Start it where it does not run.

        Raises:
            TransientError: `postgres-program-failed` where the slot cannot be made.
        """
        if self._running and self._running.poll() is None:
            return
        if self._running:
            said = self._log.read_text(errors="replace").strip()[-500:]
            logger.warning("pg_receivewal ended and is started again: %s", redact(said))
        self._end_left_over()
        make_slot(self._settings)
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                self._receive, env=self._environment, stdin=subprocess.DEVNULL, stderr=log
            )
        self._pid_file.write_text(str(self._running.pid))

    def stop(self) -> None:
        """End it; what it has written is synced."""
        if self._running and self._running.poll() is None:
            self._running.terminate()
            try:
                self._running.wait(_STOP_S)
            except subprocess.TimeoutExpired:  # what it holds comes again from the slot
                self._running.kill()
                self._running.wait()

    def _end_left_over(self) -> None:
        """End the one of a `follow` that was killed: it would hold the slot for ever."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline")
            while os.fsencode(self._wal) in command.read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGTERM)
                time.sleep(_POLL_S)
        except (OSError, ValueError):  # there is none, or it has ended
            return


def written_position(connection: Connection) -> str:
    """Return up to where the server has written its WAL."""
    return str(connection.execute(_POSITION).scalar_one())


def has_archived(connection: Connection, position: str) -> bool:
    """Whether the archive holds everything up to a position, synced.

    Raises:
        PermanentError: `archive-has-a-gap` where the server has thrown away what it did not have.
    """
    found = connection.execute(_SLOT_STATE, {"slot": SLOT, "position": position}).one_or_none()
    if found is None:
        return False
    status, archived = found
    if status == "lost":
        raise PermanentError(
            "archive-has-a-gap",
            "the archive was away so long that the server threw WAL away (max_slot_wal_keep_size): "
            f"drop the slot {SLOT}, start again and take a base backup",
        )
    return bool(archived)


def segment_at(timeline: int, position: str, size: int) -> str:
    """Return the name of the WAL file that holds a position such as `0/2000028`.

    Args:
        timeline: Of the server then.
        position: As PostgreSQL writes it.
        size: Of a WAL file, in bytes; 16 MiB unless initdb was told otherwise.
    """
    high, low = (int(part, 16) for part in position.split("/"))
    return f"{timeline:08X}{high:08X}{low // size:08X}"


def segments_from(wal: Path, first: str) -> list[Path]:
    """Return the archive's files from one on, of every timeline, and the timelines' histories.

    A file that is whole outranks a `.partial` one of its name.

    Raises:
        PermanentError: `archive-has-a-gap` where one is missing in between.
    """
    histories = sorted(wal.glob("*.history"))
    named = [path for path in sorted(wal.iterdir()) if _SEGMENT.fullmatch(path.name)]
    found = [
        path
        for path in named
        if path.name[8:24] >= first[8:]
        and not (path.suffix == ".partial" and path.with_suffix("").exists())
    ]
    numbers = sorted({_number(path.name, path.stat().st_size) for path in found})
    for before, after in pairwise(numbers):
        if after != before + 1:
            raise PermanentError(
                "archive-has-a-gap",
                f"{wal} lacks WAL files between number {before} and {after}: nothing later than "
                "that can be restored from an older base backup. Take the next one, or move the "
                "later files away",
            )
    return [*histories, *found]


def _number(name: str, size: int) -> int:
    """Count the WAL files before one."""
    return int(name[8:16], 16) * (2**32 // size) + int(name[16:24], 16)


def older_segments(wal: Path, first: str) -> list[Path]:
    """Return the archive's files that end before one begins, of any timeline."""
    named = (path for path in wal.iterdir() if _SEGMENT.fullmatch(path.name))
    return [path for path in named if path.name[8:24] < first[8:]]
