"""Records of what happened: dead letters, the audit, the outbox, changes that may be sent twice."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Identity,
    Index,
    SmallInteger,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base

_TRANSACTION = text("transaction_number()")


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
