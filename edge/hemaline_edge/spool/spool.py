"""The durable spool: a captured frame lies here until the cloud has answered for it."""

import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from hemaline_edge.settings import SpoolSettings
from hemaline_edge.spool.database import Database
from hemaline_edge.spool.files import ImageFiles, hold
from hemaline_edge.spool.records import (
    Counts,
    Entry,
    InlineLimit,
    NewFrame,
    Priority,
    Settled,
    Slide,
    SourceMark,
)
from hemaline_edge.spool.view import INDEX_NAME, SpoolView, slide_of
from hemaline_edge.spool.writing import (
    as_quarantined,
    count,
    header_of,
    insert_entry,
    insert_frame,
    insert_marks,
    message_size,
    read_header,
    replace_by_quarantined,
    restore_closing,
    settle_entry,
    text_of,
)
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from hemaline_shared.messages import Receipt, SlideClosedMessage
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import DeviceName

logger = logging.getLogger(__name__)

EVERYTHING = InlineLimit(2**62, 2**62)


class Spool(SpoolView):
    """The one writer of a spool's directory.

    The capturing thread puts and closes, the publishing thread takes and removes; both may call
    at any time.
    """

    def __init__(self, directory: Path, quota_bytes: int, disk_floor_bytes: int) -> None:
        """Open the directory, or make it, and put right what a crash has left.

        Args:
            directory: Of this spool alone.
            quota_bytes: What the waiting messages may take together.
            disk_floor_bytes: What must stay free on the disk.

        Raises:
            PermanentError: `spool-in-use`, or as `Database`.
            TransientError: `spool-unwritable` or `spool-full`.
        """
        self.directory = directory
        self.quota_bytes = quota_bytes
        self._floor = disk_floor_bytes
        self._lock = hold(directory)
        super().__init__(Database(directory / INDEX_NAME))
        self._files = ImageFiles(directory / "images")
        self._unsaved_refusals = 0
        self._size_lock = threading.Lock()
        self._size = self.contents().size
        self._recover()

    def close(self) -> None:
        """Close the index and let another agent have the directory."""
        super().close()
        os.close(self._lock)

    @property
    def size(self) -> int:
        """Bytes that the waiting messages take."""
        return self._size

    def disk_free(self) -> int:
        """Bytes free on the spool's disk."""
        return shutil.disk_usage(self.directory).free

    def refusal(self, size: int = 0) -> str | None:
        """Say why a message of so many bytes has no room now, or None."""
        if self._size + size >= self.quota_bytes:
            return (
                f"the spool holds {self._size:,} of {self.quota_bytes:,} bytes: nothing more is "
                "captured until the cloud has taken some; is the network down?"
            )
        free = self.disk_free()
        if free - size < self._floor:
            return (
                f"the disk of {self.directory} has {free:,} bytes free, and {self._floor:,} must "
                "stay free: make room there; capture goes on by itself"
            )
        return None

    def next_session(self, last: int) -> int:
        """Count a session of the device, and return which it is, from 1; always after `last`."""
        with self._database.transaction() as connection:
            count(connection, "session", max(1, last + 1 - self.session()))
            row = connection.execute("select value from counters where name = 'session'")
            return int(row.fetchone()[0])

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
            with self._database.transaction() as connection:
                insert_frame(connection, frame, header)
        except Exception:
            self._files.remove(frame.message.message_id)
            raise
        self._resize(size)

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

    def next_entries(
        self,
        limit: int,
        *,
        skip: Collection[UUID] = (),
        uploads: bool | None = None,
        inline: InlineLimit = EVERYTHING,
    ) -> list[Entry]:
        """Return waiting messages: those of urgent slides first, then oldest first.

        Args:
            limit: How many at most.
            skip: Messages to leave out.
            uploads: Only those whose images exceed `inline`, or only the others; None: all.
            inline: See `uploads`.
        """
        rows = self._database.rows(
            "select position, message_id, kind, size, image_bytes, sha256 from entries"
            " where ? is null or (sha256 is not null and (image_bytes > ? or size > ?)) = ?"
            " order by urgent desc, position limit ?",
            uploads,
            inline.images,
            inline.message,
            uploads,
            limit + len(skip),
        )
        found = [entry for row in rows if (entry := _entry_of(row))]
        return [entry for entry in found if entry.message_id not in skip][:limit]

    def load(self, message_id: UUID) -> tuple[bytes, bytes | None] | None:
        """Return a message's header and packed images; None when it is no longer here.

        Raises:
            TransientError: `spool-unreadable`; another try may succeed.
            PermanentError: `damaged-in-spool`; no other try will, see `quarantine`.
        """
        rows = self._database.rows(
            "select header, header_crc, sha256 from entries where message_id = ?", str(message_id)
        )
        if not rows:
            return None
        read_header(rows[0])
        header, expected = bytes(rows[0]["header"]), rows[0]["sha256"]
        if expected is None:
            return header, None
        images = self._files.read(message_id)
        if images is None:
            self._files.check()
            raise PermanentError("damaged-in-spool", "its images are missing from the spool")
        if sha256_hex(images) != expected:
            raise PermanentError(
                "damaged-in-spool", "its images in the spool do not match their hash"
            )
        return header, images

    def check(self) -> None:
        """Tell a disk that does not work from a file that cannot be read.

        Raises:
            TransientError: `spool-unreadable`.
        """
        self._files.check()

    def quarantine(
        self, message_id: UUID, reason: str, detail: str, name: DeviceName | None = None
    ) -> None:
        """Let a quarantined message take the place of a frame that cannot be sent as it was.

        The frame is counted, its loss is told upstream, and its images stay on this disk. A
        slide's closing is written anew instead: the index knows all that it says.

        Args:
            message_id: Of the frame.
            reason: Why; its last word names the file that is kept.
            detail: A sentence.
            name: This device, for a header that cannot be read.

        Raises:
            PermanentError: `damaged-in-spool`: the header cannot be read, and there is no name.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "select entries.*, specimen_id, frames from entries join slides using (slide_id)"
                " where message_id = ?",
                (str(message_id),),
            ).fetchone()
            if row is None:
                return
            if row["kind"] == "slide-closed":
                restore_closing(connection, row, name)
                return
            message = as_quarantined(row, name, reason, detail)
            freed = replace_by_quarantined(connection, row, message)
        self._files.set_aside(message_id, "damaged" if reason == "damaged-in-spool" else "kept")
        self._resize(-freed)
        logger.error("frame %s is quarantined as %s: %s", message_id, reason, detail)

    def learnt(self, name: str) -> int | None:
        """Return a number that this device learnt, however long ago."""
        rows = self._database.rows("select value from learnt where name = ?", name)
        return int(rows[0]["value"]) if rows else None

    def learn(self, name: str, value: int | None) -> None:
        """Keep a number, or forget it."""
        with self._database.transaction() as connection:
            connection.execute("delete from learnt where name = ?", (name,))
            if value is not None:
                connection.execute("insert into learnt values (?, ?)", (name, value))

    def settle(self, receipt: Receipt) -> Settled:
        """Act on the cloud's word: count, forget the message, delete its images.

        The row goes first: a crash in between leaves a file without a row, which the next start
        sets aside, and never a row without a file.
        """
        with self._database.transaction() as connection:
            settled, size = settle_entry(connection, receipt)
        if settled is Settled.DELETED:
            self._files.remove(receipt.message_id)
            self._resize(-size)
        return settled

    def _recover(self) -> None:
        """Put right what a kill or a power cut has left: no frame is lost, none is doubled."""
        parts = self._files.remove_parts()
        sizes = dict(self._files.sizes())
        rows = self._database.rows(
            "select position, message_id, image_bytes from entries where sha256 is not null"
        )
        for row in rows:
            message_id = _id_of(row)
            if message_id is None:
                continue
            is_there = message_id in sizes
            found = sizes.pop(message_id, None)
            if is_there and found in (None, row["image_bytes"]):
                continue  # what the disk does not tell is seen when it is read
            wrong = "cut short in the spool" if is_there else "missing from the spool"
            # Where the header is damaged too, it is the publisher's, who knows the device's name.
            with suppress(PermanentError):
                self.quarantine(message_id, "damaged-in-spool", f"its images are {wrong}")
        self._files.set_orphans_aside(sizes)
        if parts or sizes:
            logger.warning(
                "the last run ended in the middle of its work: %d unfinished files were removed; "
                "%d that the index does not know are kept for a week as .orphan in %s",
                parts,
                len(sizes),
                self.directory,
            )

    def _resize(self, change: int) -> None:
        with self._size_lock:
            self._size += change


def open_spool(settings: SpoolSettings) -> Spool:
    """Open the spool for writing; raises as `Spool`."""
    return Spool(settings.path, settings.quota_bytes, settings.disk_floor_bytes)


def _id_of(row: sqlite3.Row) -> UUID | None:
    """Return a row's message id; a damaged one stays in the index and stops nothing else."""
    try:
        return UUID(row["message_id"])
    except ValueError:
        logger.error("row %d of the spool's index is damaged; it is left out", row["position"])  # noqa: TRY400
        return None


def _entry_of(row: sqlite3.Row) -> Entry | None:
    message_id = _id_of(row)
    if message_id is None:
        return None
    return Entry(
        row["position"],
        message_id,
        row["kind"],
        row["size"],
        row["image_bytes"],
        row["sha256"],
    )
