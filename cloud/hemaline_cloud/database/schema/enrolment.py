"""The tables of devices' identity: tokens to enrol with, and certificates that were issued."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base


class EnrolmentToken(Base):
    """By which one device gets its first certificate, once. Its hash stands here."""

    __tablename__ = "enrolment_tokens"
    __table_args__ = (Index("uq_enrolment_tokens_token_sha256", "token_sha256", unique=True),)

    token_id: Mapped[UUID] = mapped_column(primary_key=True)
    token_sha256: Mapped[bytes]
    site: Mapped[str]
    device: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class DeviceCertificate(Base):
    """A certificate that our authority issued; one that is not here renews nothing."""

    __tablename__ = "device_certificates"
    __table_args__ = (
        Index("uq_device_certificates_serial", "serial", unique=True),
        Index(None, "site", "device"),
    )

    certificate_id: Mapped[UUID] = mapped_column(primary_key=True)
    serial: Mapped[str]
    """In hexadecimal."""
    site: Mapped[str]
    device: Mapped[str]
    issued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    not_after: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
