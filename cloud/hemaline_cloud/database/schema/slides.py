"""What comes from devices: slides, frames, fields with their cells, and the queue of work."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base

_ZERO = text("0")
_WORKLIST = ("urgency", "priority", "opened_at", "slide_id")
_COMPLETE, _OPEN = text("state = 'complete'"), text("state <> 'complete'")
_UNFINISHED = text("state <> 'result'")


def _words_index(column: str) -> Index:
    """Return an index that finds words by their beginning, whatever the database's collation."""
    return Index(f"ix_slides_{column}", column, postgresql_ops={column: "text_pattern_ops"})


class Slide(Base):
    """One slide of a specimen. `frames_expected` is known once the device closed it.

    What lists show and sort by stands here, kept by triggers in the transactions that change frames
    and results (migration 0006): `state` follows from `frames_expected`, `captured` and `pending`;
    the next four add up to `captured`; `revision` names the current result, whose `cells` and
    `urgency` these are, but `urgency` falls only by a person (migration 0036).
    """

    __tablename__ = "slides"
    __table_args__ = (
        Index(None, "opened_at", "slide_id"),
        Index(None, "specimen_id"),
        Index(None, "order_id", postgresql_where=text("order_id is not null")),
        Index("ix_slides_worklist", *_WORKLIST),
        Index("ix_slides_worklist_complete", *_WORKLIST, postgresql_where=_COMPLETE),
        Index("ix_slides_worklist_open", "state", *_WORKLIST, postgresql_where=_OPEN),
        Index("ix_slides_complete_newest", "opened_at", "slide_id", postgresql_where=_COMPLETE),
        Index("ix_slides_open_newest", "state", "opened_at", "slide_id", postgresql_where=_OPEN),
        Index("ix_slides_review", "review", *_WORKLIST),
        # The same for who sees some sites only.
        Index("ix_slides_site_newest", "site", "opened_at", "slide_id"),
        Index("ix_slides_site_worklist", "site", *_WORKLIST),
        Index("ix_slides_site_review", "site", "review", *_WORKLIST),
        # The same where the machine's answers are hidden: its urgency orders nothing.
        Index("ix_slides_site_unranked", "site", *_WORKLIST[1:]),
        Index("ix_slides_site_review_unranked", "site", "review", *_WORKLIST[1:]),
        Index("ix_slides_site_worklist_complete", "site", *_WORKLIST, postgresql_where=_COMPLETE),
        Index("ix_slides_site_worklist_open", "site", "state", *_WORKLIST, postgresql_where=_OPEN),
        Index(
            "ix_slides_site_complete_newest",
            *("site", "opened_at", "slide_id"),
            postgresql_where=_COMPLETE,
        ),
        Index(
            "ix_slides_site_open_newest",
            *("site", "state", "opened_at", "slide_id"),
            postgresql_where=_OPEN,
        ),
        _words_index("accession_digits"),
        _words_index("name_folded"),
        _words_index("name_backwards"),
        CheckConstraint(
            "review in ('receiving', 'ready', 'in-review', 'awaiting-second-reader', 'signed',"
            " 'amended', 'unfit')",
            "review",
        ),
        Index("ix_slides_receiving", "slide_id", postgresql_where=text("review = 'receiving'")),
        # The current revision can never be deleted.
        ForeignKeyConstraint(
            ["slide_id", "revision"],
            ["result_revisions.slide_id", "result_revisions.revision"],
            name="fk_slides_revision_result_revisions",
            use_alter=True,
        ),
    )

    slide_id: Mapped[UUID] = mapped_column(primary_key=True)
    specimen_id: Mapped[UUID]
    site: Mapped[str]
    device: Mapped[str]
    opened_at: Mapped[datetime]
    slide_name: Mapped[str | None]
    """What people at the laboratory call it."""
    accession_digits: Mapped[str]
    """The eight digits of its accession: this and the next two are searched by (migration 0034)."""
    name_folded: Mapped[str | None]
    name_backwards: Mapped[str | None]
    priority: Mapped[str] = mapped_column(server_default=text("'routine'"))
    """`stat` where the laboratory asks for haste; it never falls."""
    frames_expected: Mapped[int | None]
    state: Mapped[str] = mapped_column(server_default=text("'receiving'"))
    captured: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    pending: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    with_result: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    rejected: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    quarantined: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    cells: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    urgency: Mapped[int] = mapped_column(SmallInteger, server_default=_ZERO)
    simulated: Mapped[bool] = mapped_column(server_default=text("false"))
    revision: Mapped[int | None]
    review: Mapped[str] = mapped_column(server_default=text("'receiving'"))
    """A `ReviewState`; only `hemaline_cloud.database.review` changes it."""
    ready_at: Mapped[datetime | None]
    """Since when it waits for a reader; None of slides that were ready before that was kept."""
    changed_since_signing: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether there is a revision that is newer than the newest signed one."""
    review_version: Mapped[int] = mapped_column(server_default=_ZERO)
    """Counts what people change: labels, states, signatures."""
    reader: Mapped[str | None]
    """The person who reviews it."""
    reader_name: Mapped[str | None]
    second_reader: Mapped[str | None]
    """The person who reads it after them, and sees nothing of theirs."""
    second_reader_name: Mapped[str | None]
    readings_begun: Mapped[int] = mapped_column(server_default=text("1"))
    """The first reading is number 1; each second reader who begins gets the next number."""
    order_id: Mapped[UUID | None] = mapped_column(ForeignKey("orders.order_id"))
    """What it was made for; only `hemaline_cloud.database.order_links` changes it."""


class Frame(Base):
    """The ledger: one row for every captured frame, in exactly one state.

    `pending` is the only state that is not terminal.
    """

    __tablename__ = "frames"
    __table_args__ = (
        CheckConstraint("state in ('pending', 'result', 'rejected', 'quarantined')", "state"),
        CheckConstraint("(state in ('rejected', 'quarantined')) = (reason is not null)", "reason"),
        Index(None, "slide_id", "sequence", "frame_id"),
        Index("ix_frames_device", "site", "device", "received_at"),
        Index("ix_frames_unfinished", "state", "frame_id", postgresql_where=_UNFINISHED),
        Index(
            "ix_frames_site_unfinished", "site", "state", "frame_id", postgresql_where=_UNFINISHED
        ),
    )

    frame_id: Mapped[UUID] = mapped_column(primary_key=True)
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    site: Mapped[str]
    device: Mapped[str]
    sequence: Mapped[int]
    source: Mapped[str]
    edge_version: Mapped[str]
    captured_at: Mapped[datetime]
    received_at: Mapped[datetime]
    state: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    quality: Mapped[dict[str, Any] | None]
    thumbnail: Mapped[bytes | None] = mapped_column(LargeBinary)
    settled_at: Mapped[datetime | None]
    judged_by: Mapped[int | None] = mapped_column(ForeignKey("bundles.number"))
    """The bundle whose answers count for it."""


class FieldOfView(Base):
    """What was stored of an accepted frame, and how its pixels were made."""

    __tablename__ = "fields"

    frame_id: Mapped[UUID] = mapped_column(ForeignKey("frames.frame_id"), primary_key=True)
    site: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    um_per_px: Mapped[float]
    scale_source: Mapped[str]
    pixel_pipeline: Mapped[str]
    finder: Mapped[str]
    object_key: Mapped[str]
    object_size: Mapped[int]
    object_sha256: Mapped[str]


class FieldLook(Base):
    """By which a field's place on its slide is known again: see `Look`.

    A trigger drops those of a complete slide of which nothing is in quarantine (migration 0022): no
    field is left that could be compared with them.
    """

    __tablename__ = "field_looks"

    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"), primary_key=True)
    site: Mapped[str]
    look: Mapped[bytes]


class Cell(Base):
    """One found white cell; its crop lies in the field's object at `index`."""

    __tablename__ = "cells"
    __table_args__ = (
        Index(None, "frame_id"),
        CheckConstraint("excluded in ('cut-by-border', 'seen-before')", "excluded"),
    )

    cell_id: Mapped[UUID] = mapped_column(primary_key=True)
    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"))
    site: Mapped[str]
    index: Mapped[int]
    left: Mapped[int]
    top: Mapped[int]
    right: Mapped[int]
    bottom: Mapped[int]
    confidence: Mapped[float]
    excluded: Mapped[str | None]
    """Why it does not count: `cut-by-border` or `seen-before`."""
    same_as: Mapped[UUID | None]
    """The cell that counts for this one and its copies in other fields; itself where it is that."""


class Work(Base):
    """The queue of the inference workers: a field for a purpose, gone when its answers are there.

    The appointments of the moment say which bundle judges it. A field is a suspect where it is
    `suspected` or its lease ran out; `attempts` counts how often it was begun alone. `leased_at` is
    when its lease was last taken or extended.
    """

    __tablename__ = "work"
    __table_args__ = (
        CheckConstraint("purpose in ('active', 'trial')", "purpose"),
        Index(None, "purpose", "priority", "enqueued_at"),
    )

    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True, server_default=text("'active'"))
    site: Mapped[str]
    priority: Mapped[int]
    enqueued_at: Mapped[datetime]
    attempts: Mapped[int]
    leased_by: Mapped[str | None]
    leased_until: Mapped[datetime | None]
    leased_at: Mapped[datetime | None]
    suspected: Mapped[bool] = mapped_column(server_default=text("false"))
    pixel_pipeline: Mapped[str | None]
