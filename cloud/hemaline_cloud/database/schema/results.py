"""What bundles said of fields and cells, and the results of slides."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Identity, Index, SmallInteger, func
from sqlalchemy.dialects.postgresql import REAL
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base


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
