"""The durable spool: a captured frame lies here until the cloud has answered for it."""

import logging
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from hemaline_edge.spool.database import Database
from hemaline_edge.spool.files import ImageFiles
from hemaline_edge.spool.header import as_quarantined, header_of
from hemaline_edge.spool.lock import hold
from hemaline_edge.spool.records import Counts, Entry, NewFrame, Slide
from hemaline_edge.spool.view import INDEX_NAME, SpoolView, slide_of
from hemaline_edge.spool.writing import (
    count,
    insert_entry,
    insert_frame,
    message_size,
    replace_damaged,
    settle_entry,
    text_of,
)
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from hemaline_shared.messages import Receipt, SlideClosedMessage
from hemaline_shared.packing import sha256_hex

logger = logging.getLogger(__name__)


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

    def open_slide(self, scope: str, label: str) -> Slide:
        """Return the open slide of a label, or begin one.

        A label whose slide was closed gets a new slide of the same specimen: the closed one's
        count of frames has been told and stands.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "select * from slides where scope = ? and label = ? order by closed_at is null"
                " desc, opened_at desc limit 1",
                (scope, label),
            ).fetchone()
            if row is not None and row["closed_at"] is None:
                return slide_of(row)
            specimen = UUID(row["specimen_id"]) if row else new_id()
            now = datetime.now(UTC)
            slide = Slide(new_id(), specimen, scope, label, now, now, None, 0, 0, 0, 0)
            connection.execute(
                "insert into slides (slide_id, specimen_id, scope, label, opened_at,"
                " last_frame_at) values (?, ?, ?, ?, ?, ?)",
                (str(slide.slide_id), str(specimen), scope, label, text_of(now), text_of(now)),
            )
            return slide

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

    def entries_after(self, position: int, limit: int) -> list[Entry]:
        """Return waiting messages behind a position, oldest first."""
        rows = self._database.rows(
            "select position, message_id, kind, image_bytes, sha256 from entries"
            " where position > ? order by position limit ?",
            position,
            limit,
        )
        return [
            Entry(
                row["position"],
                UUID(row["message_id"]),
                row["kind"],
                row["image_bytes"],
                row["sha256"],
            )
            for row in rows
        ]

    def load(self, message_id: UUID) -> tuple[bytes, bytes | None] | None:
        """Return a message's header and packed images; None when it is no longer here.

        Images that are missing or damaged turn the message into a quarantined one: the frame is
        counted, its loss is told upstream, and the rest of the spool goes on.
        """
        rows = self._database.rows(
            "select header, sha256 from entries where message_id = ?", str(message_id)
        )
        if not rows:
            return None
        header, expected = bytes(rows[0]["header"]), rows[0]["sha256"]
        if expected is None:
            return header, None
        images = self._files.read(message_id)
        if images is None:
            return self._quarantine(header, "its images are missing from the spool"), None
        if sha256_hex(images) != expected:
            return self._quarantine(header, "its images in the spool do not match their hash"), None
        return header, images

    def settle(self, receipt: Receipt) -> bool:
        """Act on the cloud's word: count, forget the message, delete its images.

        The row goes first: a crash in between leaves a file without a row, which the next start
        removes, and never a row without a file.

        Returns:
            False when there is no such message, as after a repeated receipt, or when the cloud
            keeps other images than ours.
        """
        with self._database.transaction() as connection:
            size = settle_entry(connection, receipt)
        if size is None:
            return False
        self._files.remove(receipt.message_id)
        self._resize(-size)
        return True

    def _recover(self) -> None:
        """Put right what a kill or a power cut has left: no frame is lost, none is doubled."""
        parts = self._files.remove_parts()
        sizes = dict(self._files.sizes())
        rows = self._database.rows(
            "select message_id, header, image_bytes from entries where sha256 is not null"
        )
        for row in rows:
            found = sizes.pop(UUID(row["message_id"]), None)
            if found != row["image_bytes"]:
                wrong = "missing from the spool" if found is None else "cut short in the spool"
                self._quarantine(bytes(row["header"]), f"its images are {wrong}")
        for orphan in sizes:
            self._files.remove(orphan)
        if parts or sizes:
            logger.info(
                "the last run ended in the middle of its work: removed %d unfinished files; "
                "what they held is captured again or was already receipted",
                parts + len(sizes),
            )

    def _quarantine(self, header: bytes, detail: str) -> bytes:
        """Let a quarantined message take the place of a damaged one; return its header."""
        message = as_quarantined(header, "damaged-in-spool", detail)
        replacement = header_of(message)
        with self._database.transaction() as connection:
            freed = replace_damaged(connection, message, replacement)
        self._files.set_aside(message.message_id)
        self._resize(-freed)
        logger.error(
            "frame %s: %s; it is told upstream as quarantined. Check this disk",
            message.message_id,
            detail,
        )
        return replacement

    def _resize(self, change: int) -> None:
        with self._size_lock:
            self._size += change
