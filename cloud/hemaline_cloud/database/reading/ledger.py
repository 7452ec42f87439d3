"""The ledger of captured frames, dead letters and bundles, as lists to page through."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    or_,
    select,
    tuple_,
    union_all,
)

from hemaline_cloud.database.dead_letters import WAITING
from hemaline_cloud.database.reading.bounds import count_few, in_each_site, written_out
from hemaline_cloud.database.schema import Bundle, DeadLetter, FieldOfView, Frame, Slide


class DeadLetterKey(NamedTuple):
    """A dead letter's place in the list."""

    received_at: datetime
    dead_letter_id: UUID


class BundleKey(NamedTuple):
    """A bundle's place in the list."""

    first_used_at: datetime
    sha256: str


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One captured frame and what became of it."""

    frame_id: UUID
    slide_id: UUID
    slide_name: str | None
    site: str
    device: str
    sequence: int
    source: str
    captured_at: datetime
    received_at: datetime
    state: str
    reason: str | None
    detail: str | None
    quality: dict[str, Any] | None
    has_image: bool


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """One message that nobody could read."""

    dead_letter_id: UUID
    topic: str
    message_id: UUID | None
    reason: str
    detail: str
    size: int
    received_at: datetime

    @property
    def key(self) -> DeadLetterKey:
        """Where the next page starts after this letter."""
        return DeadLetterKey(self.received_at, self.dead_letter_id)


@dataclass(frozen=True, slots=True)
class BundleRow:
    """One model bundle that made results."""

    sha256: str
    bundle_id: str
    trained: bool
    manifest: dict[str, Any]
    first_used_at: datetime

    @property
    def key(self) -> BundleKey:
        """Where the next page starts after this bundle."""
        return BundleKey(self.first_used_at, self.sha256)


def list_frames(
    connection: Connection,
    *,
    limit: int,
    slide_id: UUID | None = None,
    states: Collection[str] = (),
    after: UUID | None = None,
) -> list[FrameRow]:
    """Return at most `limit` frames that follow `after`, the newest first.

    A frame's id begins with the millisecond of its capture, so the order of ids is that of time.
    """
    query = frame_rows()
    if slide_id:
        query = query.where(Frame.slide_id == slide_id)
    if after:
        query = query.where(Frame.frame_id < after)
    query = query.order_by(Frame.frame_id.desc()).limit(limit)
    # One index serves one state of a site: the newest of each, then the newest of these.
    pages = [
        page
        for state in sorted(set(states))
        for page in in_each_site(
            connection, query.where(Frame.state == written_out(state)), Frame.site
        )
    ]
    if len(pages) > 1:
        newest = union_all(*pages).subquery()
        query = select(newest).order_by(newest.c.frame_id.desc()).limit(limit)
    elif pages:
        query = pages[0]
    return [FrameRow(**row) for row in connection.execute(query).mappings()]


def frame_rows() -> Select[*tuple[Any, ...]]:
    """Return the query of frames as `FrameRow` has them, to be narrowed and ordered."""
    query: Select[*tuple[Any, ...]] = select(
        Frame.frame_id,
        Frame.slide_id,
        Slide.slide_name,
        Frame.site,
        Frame.device,
        Frame.sequence,
        Frame.source,
        Frame.captured_at,
        Frame.received_at,
        Frame.state,
        Frame.reason,
        Frame.detail,
        Frame.quality,
        or_(Frame.thumbnail.is_not(None), FieldOfView.frame_id.is_not(None)).label("has_image"),
    )
    query = query.join(Slide, Slide.slide_id == Frame.slide_id)
    return query.outerjoin(FieldOfView, FieldOfView.frame_id == Frame.frame_id)


def thumbnail(connection: Connection, frame_id: UUID) -> bytes | None:
    """Return the thumbnail that the device sent of a rejected frame."""
    return connection.scalar(select(Frame.thumbnail).where(Frame.frame_id == frame_id))


def list_dead_letters(
    connection: Connection, *, limit: int, after: DeadLetterKey | None = None
) -> list[DeadLetterRow]:
    """Return at most `limit` letters that wait and follow `after`, the newest first."""
    query = select(
        DeadLetter.dead_letter_id,
        DeadLetter.topic,
        DeadLetter.message_id,
        DeadLetter.reason,
        DeadLetter.detail,
        DeadLetter.size,
        DeadLetter.received_at,
    ).where(DeadLetter.state.in_(WAITING))
    key = tuple_(DeadLetter.received_at, DeadLetter.dead_letter_id)
    if after:
        query = query.where(key < after)
    query = query.order_by(DeadLetter.received_at.desc(), DeadLetter.dead_letter_id.desc())
    return [DeadLetterRow(*row) for row in connection.execute(query.limit(limit))]


def list_bundles(
    connection: Connection, *, limit: int, after: BundleKey | None = None
) -> list[BundleRow]:
    """Return at most `limit` bundles that follow `after`, the newest first."""
    query = select(
        Bundle.sha256,
        Bundle.bundle_id,
        Bundle.trained,
        Bundle.manifest,
        Bundle.first_used_at,
    )
    if after:
        query = query.where(tuple_(Bundle.first_used_at, Bundle.sha256) < after)
    query = query.order_by(Bundle.first_used_at.desc(), Bundle.sha256.desc()).limit(limit)
    return [BundleRow(*row) for row in connection.execute(query)]


def count_problems(connection: Connection) -> dict[str, int]:
    """Return how many frames were rejected and quarantined, and how many letters are dead.

    No count goes beyond `MANY`.
    """
    frames = {
        state: select(Frame.frame_id).where(Frame.state == written_out(state))
        for state in ("rejected", "quarantined")
    }
    letters = select(DeadLetter.dead_letter_id).where(DeadLetter.state.in_(WAITING))
    return {kind: count_few(connection, rows, Frame.site) for kind, rows in frames.items()} | {
        "dead-letters": count_few(connection, letters, DeadLetter.site)
    }
