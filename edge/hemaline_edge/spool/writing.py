"""What a transaction on the spool's index writes."""

import sqlite3
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from hemaline_edge.spool.header import ROW_BYTES, header_of, message_size
from hemaline_edge.spool.records import NewFrame, Settled, SourceMark
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import (
    FrameMessage,
    QuarantinedMessage,
    Receipt,
    RejectedMessage,
    SlideClosedMessage,
    UpMessage,
)
from hemaline_shared.topics import DeviceName


def restore_closing(
    connection: sqlite3.Connection, row: sqlite3.Row, name: DeviceName | None
) -> None:
    """Write the header of a slide's closing anew; `row` is one as `as_quarantined` takes.

    Raises:
        PermanentError: `damaged-in-spool`: there is no name.
    """
    if name is None:
        raise PermanentError("damaged-in-spool", "its header is damaged")
    message = SlideClosedMessage(
        message_id=UUID(row["message_id"]),
        slide_id=UUID(row["slide_id"]),
        specimen_id=UUID(row["specimen_id"]),
        site=name.site,
        device=name.device,
        edge_version="unknown",
        frames=row["frames"],
    )
    header = header_of(message)
    connection.execute(
        "update entries set header = ?, header_crc = ? where message_id = ?",
        (header, zlib.crc32(header), row["message_id"]),
    )


def record_action(
    connection: sqlite3.Connection, operator: str, action: str, message_id: UUID, detail: str
) -> None:
    """Keep what somebody did with kept images, in the transaction that does it."""
    connection.execute(
        "insert into operator_actions values (?, ?, ?, ?, ?)",
        (text_of(datetime.now(UTC)), operator, action, str(message_id), detail),
    )


def text_of(moment: datetime) -> str:
    """Return a time as the index keeps it: in UTC, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def count(connection: sqlite3.Connection, name: str, by: int) -> None:
    """Add to a counter that lasts as long as the spool."""
    connection.execute(
        "insert into counters values (?, ?)"
        " on conflict do update set value = value + excluded.value",
        (name, by),
    )


def insert_frame(connection: sqlite3.Connection, frame: NewFrame, header: bytes) -> None:
    """Record a frame: its entry, its place in the slide, its source's mark, the counters."""
    message = frame.message
    rejected = int(message.kind == "rejected")
    quarantined = int(message.kind == "quarantined")
    insert_entry(connection, message, header, frame.images)
    counted = connection.execute(
        "update slides set frames = frames + 1, rejected = rejected + ?,"
        " quarantined = quarantined + ?, cells = cells + ?, last_frame_at = ?"
        " where slide_id = ? and frames = ? and closed_at is null",
        (
            rejected,
            quarantined,
            _whole_cells(message),
            text_of(message.captured_at),
            str(message.slide_id),
            message.sequence,
        ),
    )
    if counted.rowcount != 1:
        raise RuntimeError(f"frame {message.sequence} is not the next one of {message.slide_id}")
    insert_marks(connection, frame.marks)
    if message.kind != "field":
        _note(connection, message, frame.origin, frame.note)
    count(connection, "captured", 1)
    count(connection, "rejected", rejected)
    count(connection, "quarantined", quarantined)


def _whole_cells(message: FrameMessage) -> int:
    if message.kind != "field":
        return 0
    return sum(not cell.box.is_cut(message.width, message.height) for cell in message.cells)


def insert_marks(connection: sqlite3.Connection, marks: Iterable[SourceMark]) -> None:
    """Remember what was captured, in which version."""
    connection.executemany(
        "insert or replace into seen values (?, ?, ?)",
        [(mark.scope, mark.key, mark.version) for mark in marks],
    )


def insert_entry(
    connection: sqlite3.Connection, message: UpMessage, header: bytes, images: bytes | None
) -> None:
    """Let a message wait for its receipt."""
    connection.execute(
        "insert into entries (message_id, slide_id, kind, header, size, image_bytes, sha256,"
        " spooled_at, urgent, sequence, source, header_crc)"
        " values (?, ?, ?, ?, ?, ?, ?, ?,"
        " (select priority = 'stat' from slides where slide_id = ?), ?, ?, ?)",
        (
            str(message.message_id),
            str(message.slide_id),
            message.kind,
            header,
            message_size(header, images),
            len(images or b""),
            message.images.sha256 if message.kind == "field" else None,
            text_of(datetime.now(UTC)),
            str(message.slide_id),
            None if message.kind == "slide-closed" else message.sequence,
            None if message.kind == "slide-closed" else message.source,
            zlib.crc32(header),
        ),
    )


def settle_entry(connection: sqlite3.Connection, receipt: Receipt) -> tuple[Settled, int]:
    """Forget a message whose very images the cloud keeps, and count that.

    A message without images is forgotten whatever the receipt says of images: nothing is lost.

    Returns:
        What was done, and the bytes that the message took.
    """
    key = str(receipt.message_id)
    row = connection.execute(
        "select kind, slide_id, size, sha256 from entries where message_id = ?", (key,)
    ).fetchone()
    if row is None:
        return Settled.UNKNOWN, 0
    if row["sha256"] not in (None, receipt.sha256):
        return Settled.OTHER_IMAGES, 0
    connection.execute("delete from entries where message_id = ?", (key,))
    if row["kind"] != "slide-closed":
        _count(connection, row["slide_id"], receipted=1)
        if receipt.outcome == "quarantined":
            _quarantined_by_cloud(connection, receipt, row["kind"], row["slide_id"])
    return Settled.DELETED, int(row["size"])


def keep_header(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Remember how a frame with images would have been sent, before it is quarantined."""
    connection.execute(
        "insert or replace into kept select message_id, slide_id, header, header_crc, image_bytes,"
        " sha256, sequence, source from entries where message_id = ? and sha256 is not null",
        (row["message_id"],),
    )


def send_again(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Let a frame wait for its receipt that was quarantined and receipted as that.

    Args:
        connection: In a transaction.
        row: Of `kept`; it is forgotten.
    """
    connection.execute(
        "insert into entries (message_id, slide_id, kind, header, size, image_bytes, sha256,"
        " spooled_at, urgent, sequence, source, header_crc)"
        " select message_id, slide_id, 'field', header, ?, image_bytes, sha256, ?,"
        " priority = 'stat', sequence, source, header_crc"
        " from kept join slides using (slide_id) where message_id = ?",
        (
            len(row["header"]) + row["image_bytes"] + ROW_BYTES,
            text_of(datetime.now(UTC)),
            row["message_id"],
        ),
    )
    for table in ("kept", "unused"):
        connection.execute(f"delete from {table} where message_id = ?", (row["message_id"],))  # noqa: S608
    _count(connection, row["slide_id"], receipted=-1, quarantined=-1)


def replace_by_quarantined(
    connection: sqlite3.Connection, before: sqlite3.Row, message: QuarantinedMessage
) -> int:
    """Put a quarantined message in the place of a frame that cannot be sent as it was.

    Returns:
        The bytes that this frees.
    """
    keep_header(connection, before)
    header = header_of(message)
    after = message_size(header, None)
    connection.execute(
        "update entries set kind = 'quarantined', header = ?, header_crc = ?, size = ?,"
        " image_bytes = 0, sha256 = null where message_id = ?",
        (header, zlib.crc32(header), after, before["message_id"]),
    )
    was = before["kind"]
    _count(
        connection,
        before["slide_id"],
        quarantined=int(was != "quarantined"),
        rejected=-int(was == "rejected"),
    )
    _note(connection, message, "the spool")
    return int(before["size"]) - after


def _quarantined_by_cloud(
    connection: sqlite3.Connection, receipt: Receipt, kind: str, slide_id: str
) -> None:
    if kind != "quarantined":
        _count(connection, slide_id, quarantined=1, rejected=-int(kind == "rejected"))
    connection.execute(
        "insert or replace into unused values (?, ?, ?, 'quarantined', ?, ?, 'the cloud')",
        (
            str(receipt.message_id),
            slide_id,
            text_of(datetime.now(UTC)),
            receipt.reason or "no-reason-given",
            receipt.detail or "",
        ),
    )


def _note(
    connection: sqlite3.Connection,
    message: RejectedMessage | QuarantinedMessage,
    origin: str,
    note: str = "",
) -> None:
    connection.execute(
        "insert or replace into unused values (?, ?, ?, ?, ?, ?, ?)",
        (
            str(message.message_id),
            str(message.slide_id),
            text_of(datetime.now(UTC)),
            message.kind,
            ", ".join(message.quality.reasons) if message.kind == "rejected" else message.reason,
            note if message.kind == "rejected" else message.detail,
            origin,
        ),
    )


def _count(
    connection: sqlite3.Connection,
    slide_id: str,
    *,
    receipted: int = 0,
    quarantined: int = 0,
    rejected: int = 0,
) -> None:
    """Add to the device's counters and to the slide's."""
    connection.execute(
        "update slides set receipted = receipted + ?, quarantined = quarantined + ?,"
        " rejected = rejected + ? where slide_id = ?",
        (receipted, quarantined, rejected, slide_id),
    )
    count(connection, "receipted", receipted)
    count(connection, "quarantined", quarantined)
    count(connection, "rejected", rejected)
