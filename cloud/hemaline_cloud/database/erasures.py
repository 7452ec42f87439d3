"""Specimens that are erased or held: rows; objects follow in `hemaline_cloud.erasing`."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, case, exists, func, insert, select, text, update

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.schema import (
    ErasedSlide,
    FieldOfView,
    Frame,
    LegalHold,
    ObjectDeletion,
    Slide,
)
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id

_ERASE = text("select erase_slides(:specimen)")


class Erasure(NamedTuple):
    """What an erasure took away."""

    site: str
    slides: int
    fields: int


class ErasedRow(NamedTuple):
    """A slide that was erased."""

    slide_id: UUID
    specimen_id: UUID
    site: str
    by_name: str
    at: datetime


def erase_specimen(connection: Connection, who: Principal, specimen_id: UUID, why: str) -> Erasure:
    """Take away all rows of a specimen's slides, and ask for its objects to be deleted.

    What stays: that it was, when, by whom and why, and the hashes of its objects.

    Args:
        connection: In a transaction.
        who: Erases it.
        specimen_id: Which.
        why: A sentence; the audit keeps it.

    Raises:
        PermanentError: `unknown-specimen`; `legal-hold`; `slide-not-settled`: more of it may come.
    """
    slides = _held(connection, specimen_id)
    _refuse_held(connection, specimen_id)
    if any(state != "complete" for _, _, state in slides):
        raise PermanentError(
            "slide-not-settled",
            "A slide of this specimen is still being received or judged: wait until it is done.",
        )
    objects = connection.execute(
        select(Frame.slide_id, FieldOfView.object_key, FieldOfView.object_sha256)
        .join(Frame, Frame.frame_id == FieldOfView.frame_id)
        .where(Frame.slide_id.in_([slide_id for slide_id, _, _ in slides]))
    ).all()
    site = slides[0][1]
    by_key = {key: sha256 for _, key, sha256 in objects}
    if by_key:
        connection.execute(
            insert(ObjectDeletion),
            [
                {"object_key": key, "specimen_id": specimen_id, "site": site, "sha256": sha256}
                for key, sha256 in by_key.items()
            ],
        )
    connection.execute(_ERASE, {"specimen": specimen_id})
    for slide_id, its_site, _ in slides:
        fields = sum(of_slide == slide_id for of_slide, _, _ in objects)
        row = {"slide_id": slide_id, "specimen_id": specimen_id, "site": its_site}
        row |= {"fields": fields, "by": who.id, "by_name": who.name}
        connection.execute(insert(ErasedSlide).values(row))
        event = Event("erase", "slide", slide_id, why, its_site, slide_id)
        record_event(connection, who, event)
    return Erasure(site, len(slides), len(objects))


def hold_specimen(connection: Connection, who: Principal, specimen_id: UUID, why: str) -> str:
    """Let nobody erase a specimen until the hold is released; return its site.

    Raises:
        PermanentError: `unknown-specimen`; `legal-hold`: it is held already.
    """
    site = _held(connection, specimen_id)[0][1]
    _refuse_held(connection, specimen_id)
    row = {"hold_id": new_id(), "specimen_id": specimen_id, "site": site}
    row |= {"reason": why, "by": who.id, "by_name": who.name}
    connection.execute(insert(LegalHold).values(row))
    record_event(connection, who, Event("hold", "specimen", specimen_id, why, site))
    return site


def release_specimen(connection: Connection, who: Principal, specimen_id: UUID, why: str) -> str:
    """End a specimen's hold; return its site.

    Raises:
        PermanentError: `no-legal-hold`.
    """
    released = (
        update(LegalHold)
        .where(LegalHold.specimen_id == specimen_id, LegalHold.released_at.is_(None))
        .values(released_at=func.now(), released_by_name=who.name)
        .returning(LegalHold.site)
    )
    site = connection.scalar(released)
    if site is None:
        raise PermanentError("no-legal-hold", f"Nobody holds specimen {specimen_id}.")
    record_event(connection, who, Event("release", "specimen", specimen_id, why, site))
    return site


def erased_slide(connection: Connection, slide_id: UUID) -> ErasedRow | None:
    """Return what is kept of an erased slide; None: it is none."""
    return _erased(connection, ErasedSlide.slide_id == slide_id)


def erased_specimen(connection: Connection, specimen_id: UUID) -> ErasedRow | None:
    """Return what is kept of an erased specimen; None: it is none."""
    return _erased(connection, ErasedSlide.specimen_id == specimen_id)


def deletions_due(connection: Connection, limit: int) -> Sequence[tuple[str, bool]]:
    """Return objects to delete, and whether a field of another specimen needs each."""
    needed = exists().where(FieldOfView.object_key == ObjectDeletion.object_key)
    query = (
        select(ObjectDeletion.object_key, case((needed, True), else_=False))
        .where(ObjectDeletion.done_at.is_(None))
        .order_by(ObjectDeletion.object_key)
        .limit(limit)
    )
    return [(key, is_needed) for key, is_needed in connection.execute(query)]


def deletions_done(connection: Connection, object_keys: Sequence[str]) -> None:
    """Say that objects are deleted, or belong to others."""
    done = update(ObjectDeletion).where(ObjectDeletion.object_key.in_(object_keys))
    connection.execute(done.values(done_at=func.now()))


def _held(connection: Connection, specimen_id: UUID) -> Sequence[tuple[UUID, str, str]]:
    """Return id, site and state of a specimen's slides, locked to the transaction's end."""
    query = select(Slide.slide_id, Slide.site, Slide.state).where(Slide.specimen_id == specimen_id)
    locked = query.order_by(Slide.slide_id).with_for_update()
    slides = [(slide_id, site, state) for slide_id, site, state in connection.execute(locked)]
    if not slides:
        raise PermanentError("unknown-specimen", f"There is no specimen {specimen_id}.")
    return slides


def _refuse_held(connection: Connection, specimen_id: UUID) -> None:
    query = select(LegalHold.by_name, LegalHold.at, LegalHold.reason).where(
        LegalHold.specimen_id == specimen_id, LegalHold.released_at.is_(None)
    )
    if row := connection.execute(query).first():
        raise PermanentError(
            "legal-hold",
            f"{row.by_name} holds this specimen since {row.at:%Y-%m-%d}: {row.reason}. "
            "It stays until the hold is released.",
        )


def _erased(connection: Connection, whose: ColumnElement[bool]) -> ErasedRow | None:
    columns = (getattr(ErasedSlide, name) for name in ErasedRow._fields)
    row = connection.execute(select(*columns).where(whose).limit(1)).first()
    return ErasedRow(*row) if row else None
