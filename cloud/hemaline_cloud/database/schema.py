"""The tables: slides, the ledger of frames, the work queue, results, dead letters, the audit."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables; every time is with a time zone, every `dict` a JSONB.

    Each has a policy (`hemaline_cloud.database.migrations.steps`): a row is seen and written by
    principals of its `site`, what has no site by every principal. A row that names no site gets
    that of what it belongs to.
    """

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
    }


class Device(Base):
    """A device as its status and telemetry last told of it."""

    __tablename__ = "devices"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    online: Mapped[bool]
    session: Mapped[int]
    edge_version: Mapped[str]
    status_at: Mapped[datetime]
    telemetry: Mapped[dict[str, Any] | None]
    telemetry_at: Mapped[datetime | None]


def _words_index(column: str) -> Index:
    """Return an index that finds words by their beginning, whatever the database's collation."""
    return Index(f"ix_slides_{column}", column, postgresql_ops={column: "text_pattern_ops"})


_FIRST = text("amends is null")
_ZERO = text("0")
_TRANSACTION = text("transaction_number()")
_WORKLIST = ("urgency", "priority", "opened_at", "slide_id")
_COMPLETE, _OPEN = text("state = 'complete'"), text("state <> 'complete'")
_UNFINISHED = text("state <> 'result'")


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
        Index("ix_slides_worklist", *_WORKLIST),
        Index("ix_slides_worklist_complete", *_WORKLIST, postgresql_where=_COMPLETE),
        Index("ix_slides_worklist_open", "state", *_WORKLIST, postgresql_where=_OPEN),
        Index("ix_slides_complete_newest", "opened_at", "slide_id", postgresql_where=_COMPLETE),
        Index("ix_slides_open_newest", "state", "opened_at", "slide_id", postgresql_where=_OPEN),
        # The same for who sees some sites only.
        Index("ix_slides_site_newest", "site", "opened_at", "slide_id"),
        Index("ix_slides_site_worklist", "site", *_WORKLIST),
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
    changed_since_signing: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether there is a revision that is newer than the newest signed one."""
    review_version: Mapped[int] = mapped_column(server_default=_ZERO)
    """Counts what people change: labels, states, signatures."""
    reader: Mapped[str | None]
    """The person who reviews it."""
    reader_name: Mapped[str | None]


class Frame(Base):
    """The ledger: one row for every captured frame, in exactly one state.

    `pending` is the only state that is not terminal.
    """

    __tablename__ = "frames"
    __table_args__ = (
        CheckConstraint("state in ('pending', 'result', 'rejected', 'quarantined')", "state"),
        CheckConstraint("(state in ('rejected', 'quarantined')) = (reason is not null)", "reason"),
        Index(None, "slide_id", "sequence", "frame_id"),
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


class Bundle(Base):
    """A model bundle that was appointed or served, named by the hash over its files."""

    __tablename__ = "bundles"
    __table_args__ = (Index("uq_bundles_number", "number", unique=True),)

    sha256: Mapped[str] = mapped_column(primary_key=True)
    bundle_id: Mapped[str]
    trained: Mapped[bool]
    manifest: Mapped[dict[str, Any]]
    """Also says in which order the rows of its answers hold the labels."""
    first_used_at: Mapped[datetime]
    number: Mapped[int] = mapped_column(Identity())
    """Names the bundle in rows of which there are many."""


class BundleAppointment(Base):
    """Who said when which bundle holds a purpose, for a site or, without one, for all.

    The newest that covers a site holds for it. Rows are only ever added.
    """

    __tablename__ = "bundle_appointments"
    __table_args__ = (
        CheckConstraint("purpose in ('active', 'trial')", "purpose"),
        # A trial may end without another; something is always active.
        CheckConstraint("bundle is not null or purpose = 'trial'", "bundle"),
    )

    appointment_id: Mapped[UUID] = mapped_column(primary_key=True)
    for_site: Mapped[str | None]
    purpose: Mapped[str]
    bundle: Mapped[int | None] = mapped_column(ForeignKey("bundles.number"))
    since: Mapped[datetime]
    appointed_by: Mapped[str]


class TrialJudgement(Base):
    """One bundle's answers about a field are of a trial: they are kept, and count nowhere."""

    __tablename__ = "trial_judgements"

    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"), primary_key=True)
    bundle: Mapped[int] = mapped_column(ForeignKey("bundles.number"), primary_key=True)
    site: Mapped[str]
    judged_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CellPredictions(Base):
    """What one bundle said of the cells of one field, all in the order of their `index`.

    One row, for a row of its own costs each cell a hundred bytes more; it is taken apart by
    `hemaline_cloud.database.predictions`. An untrained bundle stores labels alone, all
    `unclassified`: numbers from it would look as if they meant something.
    """

    __tablename__ = "cell_predictions"
    __table_args__ = (
        CheckConstraint("(probabilities is null) = (answers is null)", "answers"),
        CheckConstraint("(heat_map_width is null) = (heats is null)", "heats"),
    )

    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"), primary_key=True)
    bundle: Mapped[int] = mapped_column(ForeignKey("bundles.number"), primary_key=True)
    heat_map_width: Mapped[int | None] = mapped_column(SmallInteger)
    site: Mapped[str]
    labels: Mapped[str]
    """With commas between them; `unclassified` below the operating point."""
    probabilities: Mapped[list[float] | None] = mapped_column(ARRAY(REAL))
    """Of the likeliest class."""
    disagreements: Mapped[list[float] | None] = mapped_column(ARRAY(REAL))
    """How far apart the networks are: total variation distance, 0 to 1."""
    answers: Mapped[bytes | None]
    """Of each task and network, in the bundle's order: see `AnswerLayout`."""
    heats: Mapped[bytes | None]
    """Where a crop looks like the likeliest class: see `hemaline_cloud.database.heat`."""


class FieldPrediction(Base):
    """What one trained bundle said of a whole field."""

    __tablename__ = "field_predictions"

    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"), primary_key=True)
    bundle: Mapped[int] = mapped_column(ForeignKey("bundles.number"), primary_key=True)
    site: Mapped[str]
    probabilities: Mapped[bytes]
    """Of each task and network, in the bundle's order: see `AnswerLayout`."""


class ResultRevision(Base):
    """One result of a slide as it was made once; it never changes. The slide names its current one.

    A revision that something refers to cannot be deleted; one that is no longer current, that
    nothing refers to, is deleted when the next one of the same bundle is written.
    """

    __tablename__ = "result_revisions"
    __table_args__ = (
        CheckConstraint("reason in ('new-frames', 'new-bundle', 'recount')", "reason"),
    )

    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    site: Mapped[str]
    bundle: Mapped[int] = mapped_column(ForeignKey("bundles.number"))
    """By whose roles, confusion and thresholds it was counted."""
    computed_at: Mapped[datetime]
    reason: Mapped[str]
    inputs: Mapped[bytes | None]
    """Which frames and cells went in: see `RevisionInputs`; None: made before these were kept."""
    content: Mapped[dict[str, Any]]


class Signature(Base):
    """Somebody stood behind one revision of a slide's result. Rows are only ever added."""

    __tablename__ = "signatures"
    __table_args__ = (
        ForeignKeyConstraint(
            ["slide_id", "revision"],
            ["result_revisions.slide_id", "result_revisions.revision"],
            name="fk_signatures_revision_result_revisions",
        ),
        CheckConstraint("(amends is null) = (reason is null)", "reason"),
        Index(None, "slide_id", "revision"),
        Index("uq_signatures_slide_id", "slide_id", unique=True, postgresql_where=_FIRST),
        Index("uq_signatures_amends", "amends", unique=True),
    )

    signature_id: Mapped[UUID] = mapped_column(primary_key=True)
    slide_id: Mapped[UUID]
    site: Mapped[str]
    revision: Mapped[int]
    signed_by: Mapped[str]
    signed_by_name: Mapped[str]
    signed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    amends: Mapped[UUID | None] = mapped_column(ForeignKey("signatures.signature_id"))
    """The signature that it takes the place of."""
    reason: Mapped[str | None]
    """Why it amends."""
    policy_version: Mapped[int]
    report: Mapped[str]
    """A `SignedReport` as JSON, as it was signed."""
    report_sha256: Mapped[str]


class DeadLetter(Base):
    """A message that was not taken in, kept whole in the object store with its reason.

    `refused`: nothing but an operator's verb moves it. `parked`: too new; it is taken in by the
    first ingest that reads `needs_version`. `retried` and `discarded` are the ends.
    """

    __tablename__ = "dead_letters"
    __table_args__ = (
        CheckConstraint("state in ('refused', 'parked', 'retried', 'discarded')", "state"),
        Index(None, "received_at", "dead_letter_id"),
        Index("ix_dead_letters_parked", "needs_version", postgresql_where=text("state = 'parked'")),
    )

    dead_letter_id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str]
    site: Mapped[str]
    message_id: Mapped[UUID | None]
    reason: Mapped[str]
    detail: Mapped[str]
    object_key: Mapped[str]
    size: Mapped[int]
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="refused")
    needs_version: Mapped[int | None]
    messages: Mapped[int] = mapped_column(server_default=text("1"))
    """How many it stands for; what is kept is the newest of them."""


class AuditEvent(Base):
    """Who saw or changed what; rows are only ever added, and sealed in blocks by `AuditSeal`."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "transaction", "event_id"),
        Index(None, "slide_id", "event_id", postgresql_where=text("slide_id is not null")),
        Index(None, "subject_id", "event_id", postgresql_where=text("action <> 'read'")),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction: Mapped[int] = mapped_column(BigInteger, server_default=_TRANSACTION)
    """By which a block knows that no other row of it can still come."""
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    site: Mapped[str | None]
    """None: of no site alone."""
    actor: Mapped[str]
    """The id of a person or a service."""
    actor_name: Mapped[str]
    """As it was then."""
    action: Mapped[str]
    """`read`, or the verb of a change."""
    subject: Mapped[str]
    subject_id: Mapped[UUID | None]
    """None: a list."""
    slide_id: Mapped[UUID | None]
    shown: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid()))
    """Of a list, the slides that it showed."""
    detail: Mapped[str]


class AuditSeal(Base):
    """One block of the audit: the hash over its events and over the seal before it.

    It holds the events of the transactions `since` to `until`, the last excluded.
    """

    __tablename__ = "audit_seals"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    form: Mapped[int] = mapped_column(SmallInteger)
    """How an event is spelled for the hash: see `hemaline_cloud.audit.blocks`."""
    since: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)
    sealed_at: Mapped[datetime]
    hash: Mapped[str]


class OutboxEntry(Base):
    """What readers hear of, written in the transaction of its cause; kept for a day.

    In the order of `transaction` and `number`, no entry comes before one that was read once its
    transaction has settled; so this pair is a reader's position.
    """

    __tablename__ = "outbox"

    transaction: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, server_default=_TRANSACTION
    )
    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    site: Mapped[str | None]
    """None: it is of no site alone, and says nothing of one."""
    kind: Mapped[str]
    """`slide`, `devices` or `dead-letters`."""
    subject_id: Mapped[UUID | None]


class CellLabel(Base):
    """What a person called a cell; rows are only ever added, and the newest holds.

    It outranks every model's label and outlives bundles.
    """

    __tablename__ = "cell_labels"
    __table_args__ = (
        Index("uq_cell_labels_version", "cell_id", "version", unique=True),
        Index(None, "slide_id", "cell_id", "version"),
        Index(None, "act_id"),
    )

    label_id: Mapped[UUID] = mapped_column(primary_key=True)
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.cell_id"))
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    site: Mapped[str]
    version: Mapped[int]
    """Of this cell's label: 1, 2, 3 …"""
    act_id: Mapped[UUID]
    """Labels that were given at once are one act, and are taken back at once."""
    label: Mapped[str | None]
    """None: taken back; no person calls the cell anything."""
    replaces: Mapped[UUID | None] = mapped_column(ForeignKey("cell_labels.label_id"))
    undoes: Mapped[UUID | None]
    """The act that it takes back."""
    by: Mapped[str]
    by_name: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class SeenCell(Base):
    """A person has seen a cell's crop, large and long enough, at one revision; only ever added."""

    __tablename__ = "seen_cells"

    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"), primary_key=True)
    reader: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.cell_id"), primary_key=True)
    site: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class SeenField(Base):
    """A person has seen a field at full resolution, at one revision; only ever added."""

    __tablename__ = "seen_fields"

    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"), primary_key=True)
    reader: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"), primary_key=True)
    site: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class SitePolicy(Base):
    """What a site asks of its readers: a `ReviewPolicy`; the newest version holds."""

    __tablename__ = "review_policies"
    __table_args__ = (Index("uq_review_policies_version", "site", "version", unique=True),)

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    site: Mapped[str]
    version: Mapped[int]
    content: Mapped[dict[str, Any]]
    made_by: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Comment(Base):
    """What a person wrote about a slide, or about one of its fields or cells; only ever added."""

    __tablename__ = "comments"
    __table_args__ = (Index(None, "slide_id", "comment_id"),)

    comment_id: Mapped[UUID] = mapped_column(primary_key=True)
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    frame_id: Mapped[UUID | None] = mapped_column(ForeignKey("fields.frame_id"))
    """Of a comment on a field or a cell."""
    cell_id: Mapped[UUID | None] = mapped_column(ForeignKey("cells.cell_id"))
    site: Mapped[str]
    text: Mapped[str]
    by: Mapped[str]
    by_name: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """The answer to a change, for whoever sends it again under the same key; kept for a day."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "at"),)

    principal: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]
    """The SHA-256 of what was asked."""
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    answer: Mapped[dict[str, Any] | None]
    """None only within the transaction of the change."""
