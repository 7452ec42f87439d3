"""Reading the spool: also by another process, while the agent writes."""

import sqlite3
from datetime import datetime
from pathlib import Path
from uuid import UUID

from hemaline_edge.spool.database import Database
from hemaline_edge.spool.records import Contents, Counts, Slide, Unused
from hemaline_shared.errors import PermanentError

INDEX_NAME = "index.sqlite3"


class SpoolView:
    """What the spool holds and has counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the index."""
        self._database.close()

    def slides(self) -> list[Slide]:
        """Return all slides, oldest first."""
        rows = self._database.rows("select * from slides order by opened_at, slide_id")
        return [slide_of(row) for row in rows]

    def label_of(self, slide_id: UUID) -> str | None:
        """Return what people here call a slide; None: this spool does not know it."""
        rows = self._database.rows("select label from slides where slide_id = ?", str(slide_id))
        return str(rows[0]["label"]) if rows else None

    def counts(self) -> Counts:
        """Return the counters since the device's first day."""
        rows = self._database.rows("select name, value from counters")
        values = {str(row["name"]): int(row["value"]) for row in rows}
        return Counts(
            values.get("captured", 0),
            values.get("rejected", 0),
            values.get("quarantined", 0),
            values.get("receipted", 0),
            values.get("refused", 0),
        )

    def session(self) -> int:
        """Return the number of the last session: of the last connection to the broker."""
        rows = self._database.rows("select value from counters where name = 'session'")
        return int(rows[0]["value"]) if rows else 0

    def spool_id(self) -> int:
        """Return which spool this is: each one that is begun has another number; 0: not told."""
        rows = self._database.rows("select value from counters where name = 'spool-id'")
        return int(rows[0]["value"]) if rows else 0

    def index_problems(self) -> list[str]:
        """Let SQLite check its whole file; an empty list is good news."""
        return self._database.problems()

    def contents(self) -> Contents:
        """Return what waits for its receipt."""
        (row,) = self._database.rows(
            "select count(*) as messages, coalesce(sum(kind <> 'slide-closed'), 0) as frames,"
            " coalesce(sum(size), 0) as size, min(spooled_at) as oldest from entries"
        )
        oldest = datetime.fromisoformat(row["oldest"]) if row["oldest"] else None
        return Contents(row["frames"], row["messages"], row["size"], oldest)

    def unused(self, limit: int = -1) -> list[Unused]:
        """Return the frames that were rejected or quarantined, latest first; -1: all of them."""
        rows = self._database.rows("select * from unused order by at desc limit ?", limit)
        return [
            Unused(
                UUID(row["message_id"]),
                UUID(row["slide_id"]),
                datetime.fromisoformat(row["at"]),
                row["outcome"],
                row["reason"],
                row["detail"],
                row["origin"],
            )
            for row in rows
        ]


def open_view(directory: Path) -> SpoolView:
    """Open the spool for reading only.

    Raises:
        PermanentError: `no-spool`, or as `Database`.
    """
    require_spool(directory)
    return SpoolView(Database(directory / INDEX_NAME, read_only=True))


def require_spool(directory: Path) -> None:
    """Refuse a directory that holds no spool.

    Raises:
        PermanentError: `no-spool`.
    """
    if not (directory / INDEX_NAME).exists():
        raise PermanentError(
            "no-spool", f"there is no spool in {directory}: has the agent ever run with it?"
        )


def slide_of(row: sqlite3.Row) -> Slide:
    """Read a row of `slides`."""
    closed_at = row["closed_at"]
    return Slide(
        UUID(row["slide_id"]),
        UUID(row["specimen_id"]),
        row["scope"],
        row["label"],
        datetime.fromisoformat(row["opened_at"]),
        datetime.fromisoformat(row["last_frame_at"]),
        datetime.fromisoformat(closed_at) if closed_at else None,
        row["frames"],
        row["rejected"],
        row["quarantined"],
        row["receipted"],
        row["priority"],
        row["cells"],
        bool(row["started"]),
        datetime.fromisoformat(row["ending_at"]) if row["ending_at"] else None,
    )
