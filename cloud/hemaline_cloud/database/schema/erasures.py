"""What was erased, what of it must still be deleted, and what must not be erased."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base


class ErasedSlide(Base):
    """A slide that was here, and nothing of what was on it. Rows are only ever added."""

    __tablename__ = "erased_slides"
    __table_args__ = (Index(None, "specimen_id"),)

    slide_id: Mapped[UUID] = mapped_column(primary_key=True)
    specimen_id: Mapped[UUID]
    site: Mapped[str]
    fields: Mapped[int]
    """How many images it had."""
    by: Mapped[str]
    by_name: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class ObjectDeletion(Base):
    """An object of an erased specimen: written with the erasure, deleted after it."""

    __tablename__ = "object_deletions"
    __table_args__ = (
        Index(
            "ix_object_deletions_waiting", "object_key", postgresql_where=text("done_at is null")
        ),
    )

    object_key: Mapped[str] = mapped_column(primary_key=True)
    specimen_id: Mapped[UUID]
    site: Mapped[str]
    sha256: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]


class LegalHold(Base):
    """A specimen that must not be erased until somebody releases it."""

    __tablename__ = "legal_holds"
    __table_args__ = (
        Index(
            "uq_legal_holds_specimen_id",
            "specimen_id",
            unique=True,
            postgresql_where=text("released_at is null"),
        ),
    )

    hold_id: Mapped[UUID] = mapped_column(primary_key=True)
    specimen_id: Mapped[UUID]
    site: Mapped[str]
    reason: Mapped[str]
    by: Mapped[str]
    by_name: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    released_at: Mapped[datetime | None]
    released_by_name: Mapped[str | None]
