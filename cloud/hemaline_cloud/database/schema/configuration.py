"""The tables of devices' configuration: what is desired, and what they reported of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base


class ConfigurationDocument(Base):
    """One version of what a device, or all devices of a site, are set to; only ever added."""

    __tablename__ = "configuration_documents"
    __table_args__ = (
        Index("uq_configuration_documents_version", "site", "version", unique=True),
        Index("ix_configuration_documents_device", "site", "device", "version"),
    )

    document_id: Mapped[UUID] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    """Empty: of all devices of the site."""
    version: Mapped[int]
    """Counted within the site, so that the newest of a device's documents is its version."""
    content: Mapped[dict[str, Any]]
    why: Mapped[str]
    made_by: Mapped[str]
    made_by_name: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ConfigurationReport(Base):
    """What a device last said of the configuration that it was sent."""

    __tablename__ = "configuration_reports"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    sha256: Mapped[str]
    outcome: Mapped[str]
    """`applied`, `refused` or `reverted`."""
    in_force: Mapped[int]
    detail: Mapped[str | None]
    reported_at: Mapped[datetime]
