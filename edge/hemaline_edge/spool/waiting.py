"""What waits in the spool: given out to be sent, and forgotten when the cloud has it."""

import logging
import os
import sqlite3
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from hemaline_edge.spool.database import Database
from hemaline_edge.spool.files import ImageFiles, Reserve, hold
from hemaline_edge.spool.header import as_quarantined, read_header
from hemaline_edge.spool.records import Entry, InlineLimit, KeptFile, Settled
from hemaline_edge.spool.view import INDEX_NAME, SpoolView
from hemaline_edge.spool.writing import (
    replace_by_quarantined,
    restore_closing,
    settle_entry,
)
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import Receipt
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import DeviceName

logger = logging.getLogger(__name__)

EVERYTHING = InlineLimit(2**62, 2**62)


class WaitingMessages(SpoolView):
    """The publishing thread's side of a spool."""

    def __init__(self, directory: Path) -> None:
        """Open the directory, or make it, and put right what a crash has left.

        Raises:
            PermanentError: `spool-in-use`, or as `Database`.
            TransientError: `spool-unwritable` or `spool-full`.
        """
        self.directory = directory
        self._lock = hold(directory)
        self._reserve = Reserve(directory)
        super().__init__(self._reserve.used_if_full(lambda: Database(directory / INDEX_NAME)))
        self._files = ImageFiles(directory / "images")
        self._size_lock = threading.RLock()
        self._size, self._kept_size = self.contents().size, 0
        self._recover()
        self._measure_kept()

    def close(self) -> None:
        """Close the index and let another agent have the directory."""
        super().close()
        os.close(self._lock)

    @property
    def size(self) -> int:
        """Bytes that the waiting messages take."""
        return self._size

    @property
    def kept_size(self) -> int:
        """Bytes that images take whose frames were quarantined here."""
        return self._kept_size

    def kept(self) -> list[KeptFile]:
        """Return images whose frames were quarantined here, longest ago first."""
        return self._files.kept()

    def kept_notice(self) -> str | None:
        """Say that somebody is to decide about kept images."""
        if not self._kept_size:
            return None
        return (
            f"images of quarantined frames take {self._kept_size:,} bytes here: `hemaline-edge "
            "spool list` shows them; retry or discard them"
        )

    def changed_elsewhere(self) -> bool:
        """Whether an operator's verb changed the spool since this was last asked."""
        changed = self._database.changed_elsewhere()
        if changed:
            self._measure()
        return changed

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
        self._reserve.used_if_full(lambda: self._quarantine(message_id, reason, detail, name))

    def _quarantine(
        self, message_id: UUID, reason: str, detail: str, name: DeviceName | None
    ) -> None:
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
        self._measure_kept()
        logger.error("frame %s is quarantined as %s: %s", message_id, reason, detail)

    def learnt(self, name: str) -> int | None:
        """Return a number that this device learnt, however long ago."""
        rows = self._database.rows("select value from learnt where name = ?", name)
        return int(rows[0]["value"]) if rows else None

    def learn(self, name: str, value: int | None) -> None:
        """Keep a number, or forget it."""
        self._reserve.used_if_full(lambda: self._learn(name, value))

    def _learn(self, name: str, value: int | None) -> None:
        with self._database.transaction() as connection:
            connection.execute("delete from learnt where name = ?", (name,))
            if value is not None:
                connection.execute("insert into learnt values (?, ?)", (name, value))

    def settle(self, receipt: Receipt) -> Settled:
        """Act on the cloud's word: count, forget the message, delete its images.

        The row goes first: a crash in between leaves a file without a row, which the next start
        sets aside, and never a row without a file.
        """
        settled, size = self._reserve.used_if_full(lambda: self._forget(receipt))
        if settled is Settled.DELETED:
            self._files.remove(receipt.message_id)
            self._resize(-size)
        if not self._reserve.hold():
            self._database.shrink()
            self._reserve.hold()
        return settled

    def _forget(self, receipt: Receipt) -> tuple[Settled, int]:
        with self._database.transaction() as connection:
            return settle_entry(connection, receipt)

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
        for message_id in [one for one in sizes if self._is_kept(one)]:
            self._files.set_aside(message_id, "kept")
            del sizes[message_id]
        self._files.set_orphans_aside(sizes)
        if parts or sizes:
            logger.warning(
                "the last run ended in the middle of its work: %d unfinished files were removed; "
                "%d that the index does not know are kept for a week as .orphan in %s",
                parts,
                len(sizes),
                self.directory,
            )

    def _is_kept(self, message_id: UUID) -> bool:
        """Whether a file without an entry is of a frame that was quarantined here."""
        # In a transaction: a verb that sends it again may be about to write the entry.
        with self._database.transaction() as connection:
            found = connection.execute(
                "select 1 from kept where message_id = ?", (str(message_id),)
            )
            return found.fetchone() is not None

    def _measure(self) -> None:
        with self._size_lock:
            self._size = self.contents().size
        self._measure_kept()

    def _measure_kept(self) -> None:
        self._kept_size = sum(file.size for file in self._files.kept())

    def _resize(self, change: int) -> None:
        with self._size_lock:
            self._size += change


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
