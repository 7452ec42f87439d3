"""The table of what devices were told to do."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base

_OPEN = text("state in ('awaiting-approval', 'open', 'received', 'seen')")


class DeviceCommand(Base):
    """One command, from the asking to its end; `hemaline_cloud.fleet.commands` has its states."""

    __tablename__ = "device_commands"
    __table_args__ = (
        Index("ix_device_commands_device", "site", "device", "command_id"),
        Index("ix_device_commands_slide_id", "slide_id"),
        Index("ix_device_commands_open", "expires_at", postgresql_where=_OPEN),
    )

    command_id: Mapped[UUID] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    verb: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    slide_id: Mapped[UUID | None] = mapped_column(ForeignKey("slides.slide_id", ondelete="CASCADE"))
    """Of a reader's request: it goes when the slide is erased."""
    why: Mapped[str]
    """Written freely, so it never leaves the cloud."""
    asked_by: Mapped[str]
    asked_by_name: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    approved_by: Mapped[str | None]
    approved_by_name: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    state: Mapped[str]
    sent_at: Mapped[datetime | None]
    """When it was first handed to the broker."""
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    lines: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    """What it collected."""
