"""What one transaction on the spool's index writes, statement by statement."""

import sqlite3
from datetime import UTC, datetime

from hemaline_edge.spool.records import NewFrame
from hemaline_shared.messages import QuarantinedMessage, Receipt, RejectedMessage, UpMessage

_ROW_BYTES = 512
"""What an entry costs beside its header and its images, roughly."""


def message_size(header: bytes, images: bytes | None) -> int:
    """Return how much of the quota a message takes."""
    return len(header) + len(images or b"") + _ROW_BYTES


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
        " quarantined = quarantined + ?, last_frame_at = ?"
        " where slide_id = ? and frames = ? and closed_at is null",
        (
            rejected,
            quarantined,
            text_of(message.captured_at),
            str(message.slide_id),
            message.sequence,
        ),
    )
    if counted.rowcount != 1:
        raise RuntimeError(f"frame {message.sequence} is not the next one of {message.slide_id}")
    if frame.mark:
        connection.execute(
            "insert or replace into seen values (?, ?, ?)",
            (frame.mark.scope, frame.mark.key, frame.mark.version),
        )
    if message.kind != "field":
        _note(connection, message, frame.origin)
    count(connection, "captured", 1)
    count(connection, "rejected", rejected)
    count(connection, "quarantined", quarantined)


def insert_entry(
    connection: sqlite3.Connection, message: UpMessage, header: bytes, images: bytes | None
) -> None:
    """Let a message wait for its receipt."""
    connection.execute(
        "insert into entries (message_id, slide_id, kind, header, size, image_bytes, sha256,"
        " spooled_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(message.message_id),
            str(message.slide_id),
            message.kind,
            header,
            message_size(header, images),
            len(images or b""),
            message.images.sha256 if message.kind == "field" else None,
            text_of(datetime.now(UTC)),
        ),
    )


def settle_entry(connection: sqlite3.Connection, receipt: Receipt) -> int | None:
    """Forget a message whose very images the cloud keeps, and count that.

    Returns:
        The bytes that it took; None when there is no such message, or its images are others.
    """
    row = connection.execute(
        "delete from entries where message_id = ? and sha256 is ? returning kind, slide_id, size",
        (str(receipt.message_id), receipt.sha256),
    ).fetchone()
    if row is None:
        return None
    if row["kind"] != "slide-closed":
        _count(connection, row["slide_id"], receipted=1)
        if receipt.outcome == "quarantined":
            _quarantined_by_cloud(connection, receipt, row["kind"], row["slide_id"])
    return int(row["size"])


def replace_damaged(
    connection: sqlite3.Connection, message: QuarantinedMessage, header: bytes
) -> int:
    """Put a quarantined message in the place of the field whose images are damaged.

    Returns:
        The bytes that this frees.
    """
    key = str(message.message_id)
    (before,) = connection.execute(
        "select size from entries where message_id = ?", (key,)
    ).fetchone()
    after = message_size(header, None)
    connection.execute(
        "update entries set kind = 'quarantined', header = ?, size = ?, image_bytes = 0,"
        " sha256 = null where message_id = ?",
        (header, after, key),
    )
    _count(connection, str(message.slide_id), quarantined=1)
    _note(connection, message, "the spool")
    return int(before) - after


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
    connection: sqlite3.Connection, message: RejectedMessage | QuarantinedMessage, origin: str
) -> None:
    connection.execute(
        "insert or replace into unused values (?, ?, ?, ?, ?, ?, ?)",
        (
            str(message.message_id),
            str(message.slide_id),
            text_of(datetime.now(UTC)),
            message.kind,
            ", ".join(message.quality.reasons) if message.kind == "rejected" else message.reason,
            "" if message.kind == "rejected" else message.detail,
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
