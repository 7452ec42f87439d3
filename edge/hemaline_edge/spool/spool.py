"""The durable spool: a captured frame lies here until the cloud has answered for it."""

import secrets
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from hemaline_edge.settings import SpoolSettings
from hemaline_edge.spool.header import header_of, message_size
from hemaline_edge.spool.records import (
    Counts,
    NewFrame,
    Priority,
    Slide,
    SourceMark,
)
from hemaline_edge.spool.started import StartedSlides
from hemaline_edge.spool.view import slide_of
from hemaline_edge.spool.writing import (
    count,
    insert_entry,
    insert_frame,
    insert_marks,
    text_of,
)
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from hemaline_shared.messages import SlideClosedMessage


class Spool(StartedSlides):
    """The one writer of a spool's directory.

    The capturing thread puts and closes, the publishing thread takes and removes; both may call
    at any time.
    """

    def __init__(self, directory: Path, quota_bytes: int, disk_floor_bytes: int) -> None:
        """Open the directory, or make it, and put right what a crash has left.

        Args:
            directory: Of this spool alone.
            quota_bytes: What waiting messages and kept images may take together.
            disk_floor_bytes: What must stay free on the disk.

        Raises:
            PermanentError: `spool-in-use`, or as `Database`.
            TransientError: `spool-unwritable` or `spool-full`.
        """
        self.quota_bytes = quota_bytes
        self._floor = disk_floor_bytes
        self._unsaved_refusals = 0
        super().__init__(directory)

    def disk_free(self) -> int:
        """Bytes free on the spool's disk."""
        return shutil.disk_usage(self.directory).free

    def refusal(self, size: int = 0) -> str | None:
        """Say why a message of so many bytes has no room now, or None."""
        if self._size + self._kept_size + size >= self.quota_bytes:
            held = self._size + self._kept_size
            notice = self.kept_notice()
            return (
                f"the spool holds {held:,} of {self.quota_bytes:,} bytes: nothing more is "
                "captured until the cloud has taken some; is the network down?"
                + (f" Of it, {notice}" if notice else "")
            )
        free = self.disk_free()
        if free - size < self._floor or not self._reserve.hold():
            return (
                f"the disk of {self.directory} has {free:,} bytes free, and {self._floor:,} must "
                "stay free: make room there; capture goes on by itself"
            )
        return None

    def next_session(self, last: int) -> int:
        """Count a session of the device, and return which it is, from 1; always after `last`."""
        return self._reserve.used_if_full(lambda: self._count_session(last))

    def _count_session(self, last: int) -> int:
        with self._database.transaction() as connection:
            count(connection, "session", max(1, last + 1 - self.session()))
            row = connection.execute("select value from counters where name = 'session'")
            return int(row.fetchone()[0])

    def own_id(self) -> int:
        """Return which spool this is; the first time it is asked, choose it.

        Raises:
            TransientError: `spool-full` or `spool-unwritable`; 0 would say the same to others.
        """
        return self.spool_id() or self._reserve.used_if_full(self._choose_id)

    def _choose_id(self) -> int:
        with self._database.transaction() as connection:
            count(connection, "spool-id", secrets.randbelow(2**62) + 1)
        return self.spool_id()

    def seen(self, scope: str, key: str) -> str | None:
        """Return the version that was last captured from a place of a source, or None."""
        rows = self._database.rows(
            "select version from seen where scope = ? and key = ?", scope, key
        )
        return str(rows[0]["version"]) if rows else None

    def remember(self, marks: Iterable[SourceMark]) -> None:
        """Take places of a source as captured in these versions, without a frame.

        Raises:
            TransientError: `spool-full` or `spool-unwritable`; nothing was written.
        """
        with self._database.transaction() as connection:
            insert_marks(connection, marks)

    def open_slide(self, scope: str, label: str, priority: Priority = "routine") -> Slide:
        """Return the open slide of a label, or begin one.

        A label whose slide was closed gets a new slide of the same specimen: the closed one's
        count of frames has been told and stands. A slide that is `stat` once stays so.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "select * from slides where scope = ? and label = ? order by closed_at is null"
                " desc, opened_at desc limit 1",
                (scope, label),
            ).fetchone()
            if row is not None and row["closed_at"] is None:
                slide = slide_of(row)
                hastened = priority == "stat" and slide.priority != "stat"
                return self._hasten(connection, slide) if hastened else slide
            specimen = UUID(row["specimen_id"]) if row else new_id()
            now = datetime.now(UTC)
            slide = Slide(new_id(), specimen, scope, label, now, now, None, 0, 0, 0, 0, priority)
            times = (text_of(now), text_of(now))
            connection.execute(
                "insert into slides (slide_id, specimen_id, scope, label, opened_at,"
                " last_frame_at, priority) values (?, ?, ?, ?, ?, ?, ?)",
                (str(slide.slide_id), str(specimen), scope, label, *times, priority),
            )
            return slide

    @staticmethod
    def _hasten(connection: sqlite3.Connection, slide: Slide) -> Slide:
        """Make a slide `stat`, with what waits of it."""
        key = (str(slide.slide_id),)
        connection.execute("update slides set priority = 'stat' where slide_id = ?", key)
        connection.execute("update entries set urgent = 1 where slide_id = ?", key)
        return replace(slide, priority="stat")

    def put(self, frame: NewFrame) -> None:
        """Make a frame durable: when this returns, neither a kill nor a power cut loses it.

        Raises:
            TransientError: `spool-full` or `spool-unwritable`; nothing was kept, try again later.
            PermanentError: `larger-than-spool`; this frame will never fit.
        """
        header = header_of(frame.message)
        size = message_size(header, frame.images)
        if size >= self.quota_bytes:
            raise PermanentError(
                "larger-than-spool",
                f"the frame takes {size:,} bytes, the whole spool {self.quota_bytes:,}",
            )
        if refusal := self.refusal(size):
            raise TransientError("spool-full", refusal)
        if frame.images is not None:
            self._files.write(frame.message.message_id, frame.images)
        try:
            with self._size_lock:
                with self._database.transaction() as connection:
                    insert_frame(connection, frame, header)
                self._resize(size)
        except Exception:
            self._files.remove(frame.message.message_id)
            raise

    def count_refusal(self) -> None:
        """Count a frame that was not captured, even when the disk is too full to write that."""
        self._unsaved_refusals += 1
        try:
            with self._database.transaction() as connection:
                count(connection, "refused", self._unsaved_refusals)
        except TransientError:
            return
        self._unsaved_refusals = 0

    def counts(self) -> Counts:
        """Return the counters since the device's first day."""
        saved = super().counts()
        return Counts(
            saved.captured,
            saved.rejected,
            saved.quarantined,
            saved.receipted,
            saved.refused + self._unsaved_refusals,
        )

    def open_slides(self, scope: str, idle: timedelta = timedelta()) -> list[Slide]:
        """Return the slides that are not closed and had no new frame for so long."""
        before = datetime.now(UTC) - idle
        rows = self._database.rows(
            "select * from slides where closed_at is null and scope = ? and last_frame_at <= ?",
            scope,
            text_of(before),
        )
        return [slide_of(row) for row in rows]

    def close_slide(self, message: SlideClosedMessage) -> None:
        """Close a slide and spool the message that says so.

        It has room even in a full spool, for it captures nothing. A slide that was begun and
        never got a frame is forgotten instead.
        """
        with self._size_lock:
            self._reserve.used_if_full(lambda: self._close_slide(message))

    def _close_slide(self, message: SlideClosedMessage) -> None:
        header = header_of(message)
        now = text_of(datetime.now(UTC))
        with self._database.transaction() as connection:
            if message.frames == 0:
                connection.execute(
                    "delete from slides where slide_id = ? and frames = 0", (str(message.slide_id),)
                )
                return
            closed = connection.execute(
                "update slides set closed_at = ? where slide_id = ? and frames = ?"
                " and closed_at is null",
                (now, str(message.slide_id), message.frames),
            )
            if closed.rowcount != 1:
                raise RuntimeError(f"slide {message.slide_id} changed while it was being closed")
            insert_entry(connection, message, header, None)
        self._resize(message_size(header, None))


def open_spool(settings: SpoolSettings) -> Spool:
    """Open the spool for writing; raises as `Spool`."""
    return Spool(settings.path, settings.quota_bytes, settings.disk_floor_bytes)
