"""Orders of the laboratory, whose blood it is, and which slide was made of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base


class Patient(Base):
    """Who somebody is: the one place of an identity, and sealed (`hemaline_cloud.orders`)."""

    __tablename__ = "patients"
    __table_args__ = (
        Index("uq_patients_identifier", "site", "identifier_fingerprint", unique=True),
        Index(None, "key"),
    )

    patient_id: Mapped[UUID] = mapped_column(primary_key=True)
    site: Mapped[str]
    key: Mapped[str]
    """The public name of the key that sealed it."""
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    """A `PatientIdentity`."""
    identifier_fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    added_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PatientWord(Base):
    """A word of a patient's name, as a keyed fingerprint: by it the patient is found."""

    __tablename__ = "patient_words"
    __table_args__ = (Index(None, "fingerprint"),)

    patient_id: Mapped[UUID] = mapped_column(
        ForeignKey("patients.patient_id", ondelete="CASCADE"), primary_key=True
    )
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    site: Mapped[str]


class Order(Base):
    """What somebody asked of the laboratory about one specimen."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("uq_orders_barcode", "site", "barcode_folded", unique=True),
        Index(
            "ix_orders_barcode_folded",
            "barcode_folded",
            postgresql_ops={"barcode_folded": "text_pattern_ops"},
        ),
        Index(None, "patient_id"),
    )

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    site: Mapped[str]
    barcode: Mapped[str]
    """The laboratory's code of the specimen, as it came."""
    barcode_folded: Mapped[str]
    """As codes are compared."""
    patient_id: Mapped[UUID | None] = mapped_column(ForeignKey("patients.patient_id"))
    blood_count: Mapped[dict[str, Any]]
    """A `BloodCount`."""
    ordered_at: Mapped[datetime | None]
    added_by: Mapped[str]
    added_by_name: Mapped[str]
    added_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OrderLink(Base):
    """An act about a slide's order: rows are only added; `slides.order_id` says what holds."""

    __tablename__ = "order_links"
    __table_args__ = (
        CheckConstraint("act in ('link', 'unlink', 'ask-to-unlink', 'refuse-to-unlink')", "act"),
        CheckConstraint("(act = 'ask-to-unlink') = (reason is not null)", "reason"),
        CheckConstraint("answers is null or act in ('unlink', 'refuse-to-unlink')", "answers"),
        Index(None, "slide_id", "act_id"),
        Index("uq_order_links_answers", "answers", unique=True),
        Index(None, "order_id", postgresql_where=text("act = 'link'")),
    )

    act_id: Mapped[UUID] = mapped_column(primary_key=True)
    slide_id: Mapped[UUID] = mapped_column(ForeignKey("slides.slide_id"))
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.order_id"))
    site: Mapped[str]
    act: Mapped[str]
    reason: Mapped[str | None]
    """Why somebody asks to unlink what is signed."""
    answers: Mapped[UUID | None] = mapped_column(ForeignKey("order_links.act_id"))
    """What a second person agreed to, or refused."""
    by: Mapped[str]
    by_name: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
