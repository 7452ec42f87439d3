"""The spool's SQLite file: its tables, and transactions that a power cut cannot undo."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hemaline_shared.durable import sync_directory
from hemaline_shared.errors import HemalineError, PermanentError, TransientError

_VERSION = 4
_MAYBE_FULL = frozenset({"SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN"})
_SQLITE_WANTS_BYTES = 128 * 1024
"""For the files beside the database; SQLite does not say of them that the disk is full."""

_TABLES = """
create table counters (name text primary key, value integer not null) without rowid;
create table slides (
    slide_id text primary key,
    specimen_id text not null,
    scope text not null,
    label text not null,
    opened_at text not null,
    last_frame_at text not null,
    closed_at text,
    frames integer not null default 0,
    rejected integer not null default 0,
    quarantined integer not null default 0,
    receipted integer not null default 0,
    priority text not null default 'routine',
    cells integer not null default 0,
    started integer not null default 0,
    ending_at text
);
create unique index one_open_slide on slides (scope, label) where closed_at is null;
create table entries (
    position integer primary key autoincrement,
    message_id text not null unique,
    slide_id text not null references slides,
    kind text not null,
    header blob not null,
    size integer not null,
    image_bytes integer not null,
    sha256 text,
    spooled_at text not null,
    urgent integer not null default 0,
    sequence integer,
    source text,
    header_crc integer
);
create index sending_order on entries (urgent desc, position);
create table learnt (name text primary key, value integer not null) without rowid;
create table seen (
    scope text not null, key text not null, version text not null, primary key (scope, key)
) without rowid;
create table unused (
    message_id text primary key,
    slide_id text not null references slides,
    at text not null,
    outcome text not null,
    reason text not null,
    detail text not null,
    origin text not null
);
"""

_KEPT = """
create table kept (
    message_id text primary key,
    slide_id text not null references slides,
    header blob not null,
    header_crc integer,
    image_bytes integer not null,
    sha256 text not null,
    sequence integer,
    source text
) without rowid;
create table operator_actions (
    at text not null,
    operator text not null,
    action text not null,
    message_id text not null,
    detail text not null
);
"""
_TABLES += _KEPT

_UPGRADES = {
    1: """
alter table slides add column priority text not null default 'routine';
alter table entries add column urgent integer not null default 0;
alter table entries add column sequence integer;
alter table entries add column source text;
alter table entries add column header_crc integer;
create index sending_order on entries (urgent desc, position);
create table learnt (name text primary key, value integer not null) without rowid;
""",
    2: _KEPT,
    3: """
alter table slides add column cells integer not null default 0;
alter table slides add column started integer not null default 0;
alter table slides add column ending_at text;
""",
}
"""From each version to the next."""


def _create(path: Path) -> None:
    """Make the file whole before it has its name: another process may be waiting to read it."""
    new = path.with_suffix(".new")
    for leftover in path.parent.glob(f"{new.name}*"):
        leftover.unlink()
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.execute("pragma synchronous = full")
        connection.executescript(f"begin; {_TABLES} pragma user_version = {_VERSION}; commit;")
    finally:
        connection.close()
    new.rename(path)
    sync_directory(path.parent)


class Database:
    """One connection for all threads of the agent; WAL, and every commit reaches the disk."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, and make its tables if it is new.

        Raises:
            PermanentError: `spool-damaged` or `spool-from-newer-version`.
            TransientError: `spool-full` or `spool-unwritable`.
        """
        self._path = path
        self._lock = threading.RLock()
        with self._explained():
            if not read_only and not path.exists():
                _create(path)
            mode = "ro" if read_only else "rw"
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=10,
            )
            self._connection.row_factory = sqlite3.Row
            if not read_only:
                self._prepare()
            self._check_version(read_only=read_only)
            self._data_version = self._read_data_version()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what happens inside, durably, or nothing of it.

        Raises:
            TransientError: `spool-full` or `spool-unwritable`; nothing was written.
            PermanentError: `spool-damaged`.
        """
        with self._lock, self._explained():
            self._connection.execute("begin immediate")
            try:
                yield self._connection
                self._connection.execute("commit")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                raise

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query; raises as `transaction`."""
        with self._lock, self._explained():
            return self._connection.execute(query, values).fetchall()

    def changed_elsewhere(self) -> bool:
        """Whether another process has committed something since this was last asked."""
        before = self._data_version
        self._data_version = self._read_data_version()
        return self._data_version != before

    def shrink(self) -> None:
        """Give back the room that the WAL takes, where nobody reads it right now."""
        with self._lock, suppress(sqlite3.Error):  # a full disk may not even let it be moved
            self._connection.execute("pragma wal_checkpoint(truncate)").fetchall()

    def problems(self) -> list[str]:
        """Let SQLite look at every page of the file; an empty list is good news."""
        found = [str(row[0]) for row in self.rows("pragma integrity_check")]
        return [] if found == ["ok"] else found

    def _prepare(self) -> None:
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        self._connection.execute("pragma foreign_keys = on")
        # A WAL that grew during an outage would keep its room on the disk for ever.
        self._connection.execute("pragma journal_size_limit = 16777216")

    def _check_version(self, *, read_only: bool) -> None:
        (version,) = self._connection.execute("pragma user_version").fetchone()
        if version > _VERSION:
            raise PermanentError(
                "spool-from-newer-version",
                f"{self._path} was written by a newer hemaline-edge (schema {version}, this one "
                f"reads {_VERSION}): install that version again, or drain the spool with it",
            )
        if version < _VERSION and read_only:
            raise PermanentError(
                "spool-from-older-version",
                f"{self._path} was written by an older hemaline-edge: start the agent once, it "
                "brings the spool up to date",
            )
        for step in range(version, _VERSION):
            self._connection.executescript(
                f"begin immediate; {_UPGRADES[step]} pragma user_version = {step + 1}; commit;"
            )

    def _read_data_version(self) -> int:
        return int(self.rows("pragma data_version")[0][0])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _disk_is_full(self) -> bool:
        with suppress(OSError):
            return shutil.disk_usage(self._path.parent).free < _SQLITE_WANTS_BYTES
        return False

    def _explain(self, error: sqlite3.Error) -> HemalineError:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL" or (name in _MAYBE_FULL and self._disk_is_full()):
            return TransientError("spool-full", f"the disk that holds {self._path} is full")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return PermanentError(
                "spool-damaged",
                f"{self._path} is damaged ({error}): stop the agent, move the spool's directory "
                "aside for recovery and start with an empty one",
            )
        return TransientError("spool-unwritable", f"{self._path}: {error} ({name})")
