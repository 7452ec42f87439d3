"""What people say of slides: labels, comments, what they have seen, what they signed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base

_FIRST = text("amends is null")


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


class SignedClasses(Base):
    """How many counted cells of a signed slide model and reader call so; only ever added."""

    __tablename__ = "signed_classes"
    __table_args__ = (Index(None, "signed_at"),)

    signature_id: Mapped[UUID] = mapped_column(
        ForeignKey("signatures.signature_id"), primary_key=True
    )
    model_class: Mapped[str] = mapped_column(primary_key=True)
    """`unclassified` where it named none, as the next one."""
    reader_class: Mapped[str] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    bundle: Mapped[int] = mapped_column(ForeignKey("bundles.number"))
    machine_hidden: Mapped[bool]
    """Whether the reader did not know what the model said."""
    signed_at: Mapped[datetime]
    cells: Mapped[int]


class CellLabel(Base):
    """What a person called a cell; rows are only ever added, and the newest holds.

    It outranks every model's label and outlives bundles.
    """

    __tablename__ = "cell_labels"
    __table_args__ = (
        Index("uq_cell_labels_reading", "cell_id", "reading", "version", unique=True),
        Index(None, "slide_id", "cell_id", "version"),
        Index(None, "act_id"),
        Index(
            "ix_cell_labels_references",
            "site",
            "label",
            "label_id",
            postgresql_where=text("label is not null and reading = 1"),
        ),
    )

    label_id: Mapped[UUID] = mapped_column(primary_key=True)
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.cell_id"))
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    site: Mapped[str]
    reading: Mapped[int] = mapped_column(server_default=text("1"))
    """1: what holds, from the first reader on. Else what a second reader said, blind to that."""
    version: Mapped[int]
    """Of this cell's label in this reading: 1, 2, 3 …"""
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


class AddedCell(Base):
    """A white cell that a person added where the finder missed it, or took back; only ever added.

    The row without a `label` takes the cell back.
    """

    __tablename__ = "added_cells"
    __table_args__ = (
        Index(
            "uq_added_cells_added",
            "added_cell_id",
            unique=True,
            postgresql_where=text("label is not null"),
        ),
        Index(
            "uq_added_cells_taken_back",
            "added_cell_id",
            unique=True,
            postgresql_where=text("label is null"),
        ),
        Index(None, "slide_id"),
    )

    act_id: Mapped[UUID] = mapped_column(primary_key=True)
    added_cell_id: Mapped[UUID]
    frame_id: Mapped[UUID] = mapped_column(ForeignKey("fields.frame_id"))
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    site: Mapped[str]
    reading: Mapped[int]
    """As of a label."""
    left: Mapped[int]
    top: Mapped[int]
    right: Mapped[int]
    bottom: Mapped[int]
    label: Mapped[str | None]
    by: Mapped[str]
    by_name: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class Reading(Base):
    """What one of two readers said of a slide, before either knew the other's; only ever added."""

    __tablename__ = "readings"
    __table_args__ = (Index("uq_readings_number", "slide_id", "number", unique=True),)

    reading_id: Mapped[UUID] = mapped_column(primary_key=True)
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    site: Mapped[str]
    number: Mapped[int]
    """Of this slide's finished readings: 1 is the first reader's, 2 the second's."""
    revision: Mapped[int]
    reader: Mapped[str]
    reader_name: Mapped[str]
    finished_at: Mapped[datetime] = mapped_column(server_default=func.now())
    report: Mapped[str]
    """A `SignedReport` as JSON: what this reader would have signed."""
    looked_before: Mapped[bool]
    """Whether a second reader had opened the slide when labels of the first one were on it."""


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


class MorphologyAssessment(Base):
    """How a person graded the red cells and platelets of a slide; only ever added, newest holds."""

    __tablename__ = "morphology_assessments"
    __table_args__ = (
        Index("uq_morphology_assessments_version", "slide_id", "version", unique=True),
    )

    assessment_id: Mapped[UUID] = mapped_column(primary_key=True)
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    site: Mapped[str]
    version: Mapped[int]
    """Of this slide's assessments: 1, 2, 3 …"""
    content: Mapped[dict[str, Any]]
    """A `Morphology`."""
    by: Mapped[str]
    by_name: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
