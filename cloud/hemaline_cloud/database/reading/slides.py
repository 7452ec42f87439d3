"""Slides with their counts and current result, for the worklist and the slide page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Row,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    select,
    tuple_,
    union,
)
from sqlalchemy.orm import InstrumentedAttribute

from hemaline_cloud.database.engine import id_of_principal
from hemaline_cloud.database.reading.bounds import MANY, count_few, in_each_site, written_out
from hemaline_cloud.database.reading.machine import hiding_sites
from hemaline_cloud.database.schema import Bundle, Frame, Order, ResultRevision, Slide
from hemaline_cloud.database.summary import MACHINE_HIDDEN, SlideSummary, without_machine
from hemaline_cloud.review.states import ReviewState


class SlideState(StrEnum):
    """How far a slide is: frames still come, or wait for the model, or all are settled."""

    RECEIVING = "receiving"
    PROCESSING = "processing"
    COMPLETE = "complete"


class SlideOrder(StrEnum):
    """`worklist` puts the most urgent slides first, then those that the laboratory calls STAT.

    Both go from the newest to the oldest. Of a site whose policy hides the machine's answers, all
    slides stand where those that are not urgent do: their order would tell.
    """

    NEWEST = "newest"
    WORKLIST = "worklist"


class SlideKey(NamedTuple):
    """A slide's place in the list; `rank` is its urgency, where that orders the list."""

    rank: int
    priority: str
    opened_at: datetime
    slide_id: UUID


@dataclass(frozen=True, slots=True)
class CalledSo:
    """What somebody searches slides by.

    Attributes:
        words: How the accession begins, or how the slide's name begins or ends; case is no matter.
        orders: Or the slide was made for one of these.
    """

    words: str
    orders: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """The captured frames that have arrived; the other four add up to `captured`."""

    captured: int
    pending: int
    with_result: int
    rejected: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One revision of a slide's result: why and when it was made, and by which bundle.

    `content` tells nothing of classes where the machine's answers are `hidden` from whoever asks.
    """

    revision: int
    computed_at: datetime
    reason: str
    content: dict[str, Any]
    bundle_id: str
    bundle_sha256: str
    trained: bool
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class SlideRow:
    """One slide as a list shows it; `urgency` is 0 where the machine's answers are hidden."""

    slide_id: UUID
    specimen_id: UUID
    site: str
    device: str
    opened_at: datetime
    slide_name: str | None
    priority: str
    frames_expected: int | None
    state: SlideState
    counts: FrameCounts
    simulated: bool
    machine_hidden: bool
    urgency: int
    rank: int
    review: ReviewState
    ready_at: datetime | None
    changed_since_signing: bool
    review_version: int
    reader: str | None
    reader_name: str | None
    second_reader: str | None
    second_reader_name: str | None
    order_id: UUID | None
    barcode: str | None
    patient_id: UUID | None
    result: ResultRow | None

    @property
    def key(self) -> SlideKey:
        """Where the next page starts after this slide."""
        return SlideKey(self.rank, self.priority, self.opened_at, self.slide_id)


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many frames of a slide ended without a result for one reason."""

    state: str
    reason: str
    frames: int


_Row: TypeAlias = Row[Any]
_LAST_LETTER = "\U0010ffff"
_RESULT = (
    ResultRevision.revision,
    ResultRevision.computed_at,
    ResultRevision.reason,
    ResultRevision.content,
    Bundle.bundle_id,
    Bundle.sha256,
    Bundle.trained,
)
_HIDDEN = func.machine_hidden(Slide.slide_id, type_=Boolean).label("machine_hidden")


def list_slides(
    connection: Connection,
    *,
    limit: int,
    order: SlideOrder = SlideOrder.NEWEST,
    state: SlideState | None = None,
    review: ReviewState | None = None,
    mine: bool = False,
    called: CalledSo | None = None,
    after: SlideKey | None = None,
) -> list[SlideRow]:
    """Return at most `limit` slides that follow `after`.

    Args:
        connection: In a transaction.
        limit: Rows at most.
        order: Of the list.
        state: Only slides of this state.
        review: Only slides whose review is so far.
        mine: Only slides that the principal is reading.
        called: Only slides that are called so.
        after: The last slide of the page before.
    """
    page: Select[*tuple[Any, ...]] = select(Slide.slide_id)
    if state:
        page = page.where(Slide.state == written_out(state.value))
    if review:
        page = page.where(Slide.review == written_out(review.value))
    # A query for each site, and for each way of being called: each has its index. The planner
    # chooses between that and the index of the order, by how many slides are called so.
    hiding = hiding_sites(connection) if order is SlideOrder.WORKLIST else ()
    ranked = in_each_site(connection, page, Slide.site, besides=hiding)
    pages = [_ordered(one, order, after, limit) for one in ranked]
    unranked = (page.where(Slide.site == site) for site in hiding)
    pages += [_ordered(one, None, after, limit) for one in unranked]
    if mine:
        pages = [one.where(condition) for one in pages for condition in _read_by_me(connection)]
    if called:
        pages = [one.where(condition) for one in pages for condition in _called(called)]
    page = pages[0] if len(pages) == 1 else select(union(*pages).subquery())
    chosen = page.subquery("chosen")
    query = _slides().join(chosen, chosen.c.slide_id == Slide.slide_id)
    query = query.order_by(*(chosen.c[name].desc() for name in _KEYS[order])).limit(limit)
    return [_slide(row, hiding) for row in connection.execute(query)]


def count_by_review(connection: Connection) -> dict[ReviewState, int]:
    """Return how many slides are how far in their review, none counted beyond `MANY`."""
    slides = {
        review: select(Slide.slide_id).where(Slide.review == written_out(review.value))
        for review in ReviewState
    }
    return {review: count_few(connection, rows, Slide.site) for review, rows in slides.items()}


def count_mine(connection: Connection) -> int:
    """Return how many slides the principal is reading, none counted beyond `MANY`."""
    slides = (select(Slide.slide_id).where(one) for one in _read_by_me(connection))
    return min(MANY, sum(count_few(connection, rows, Slide.site) for rows in slides))


def get_slide(connection: Connection, slide_id: UUID) -> SlideRow | None:
    """Return one slide, or None."""
    row = connection.execute(ONE_SLIDE, {"slide": slide_id}).first()
    return _slide(row) if row else None


def list_revisions(
    connection: Connection, slide_id: UUID, *, limit: int, before: int | None = None
) -> list[ResultRow]:
    """Return at most `limit` kept revisions of a slide's result, newest first.

    Args:
        connection: In a transaction.
        slide_id: Which slide.
        limit: Rows at most.
        before: Only revisions with a smaller number.
    """
    query = _revisions(slide_id).order_by(ResultRevision.revision.desc()).limit(limit)
    if before is not None:
        query = query.where(ResultRevision.revision < before)
    return [_result(row, hidden=row.machine_hidden) for row in connection.execute(query)]


def get_revision(connection: Connection, slide_id: UUID, revision: int) -> ResultRow | None:
    """Return one revision of a slide's result, or None: it never was, or is no longer kept."""
    query = _revisions(slide_id).where(ResultRevision.revision == revision)
    row = connection.execute(query).first()
    return _result(row, hidden=row.machine_hidden) if row else None


def slides_called(connection: Connection, accession: str) -> list[UUID]:
    """Return the ids of the slides with this accession: nearly always one, rarely two."""
    query = select(Slide.slide_id).where(
        Slide.accession_digits == accession.lower().removeprefix("s-")
    )
    return list(connection.scalars(query.order_by(Slide.opened_at.desc())))


def slides_of_specimen(connection: Connection, specimen_id: UUID) -> list[UUID]:
    """Return the ids of the slides that were made of a specimen, the newest first."""
    query = select(Slide.slide_id).where(Slide.specimen_id == specimen_id)
    return list(connection.scalars(query.order_by(Slide.opened_at.desc())))


def reasons(connection: Connection, slide_id: UUID) -> list[ReasonCount]:
    """Return why frames of a slide were rejected or quarantined, the commonest reason first."""
    number = func.count()
    query = (
        select(Frame.state, Frame.reason, number)
        .where(Frame.slide_id == slide_id, Frame.state.in_(("rejected", "quarantined")))
        .group_by(Frame.state, Frame.reason)
        .order_by(number.desc(), Frame.reason)
    )
    return [
        ReasonCount(state, reason or "", frames)
        for state, reason, frames in connection.execute(query)
    ]


_KEYS = {
    SlideOrder.NEWEST: ("opened_at", "slide_id"),
    SlideOrder.WORKLIST: ("rank", "priority", "opened_at", "slide_id"),
}


def _ordered(
    page: Select[*tuple[Any, ...]], order: SlideOrder | None, after: SlideKey | None, limit: int
) -> Select[*tuple[Any, ...]]:
    """Return a page in an order, after a key; None: the worklist's of slides without a rank."""
    keys: tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...]
    if order is SlideOrder.WORKLIST:
        keys = (Slide.urgency, Slide.priority, Slide.opened_at, Slide.slide_id)
        page = page.add_columns(Slide.urgency.label("rank"), Slide.priority, Slide.opened_at)
    elif order is SlideOrder.NEWEST:
        keys = (Slide.opened_at, Slide.slide_id)
        page = page.add_columns(Slide.opened_at)
    else:
        keys = (Slide.priority, Slide.opened_at, Slide.slide_id)
        page = page.add_columns(literal(0).label("rank"), Slide.priority, Slide.opened_at)
    # Whoever has no rank follows all that have one.
    if after and (order is not None or after.rank == 0):
        page = page.where(tuple_(*keys) < tuple_(*after[-len(keys) :]))
    return page.order_by(*(key.desc() for key in keys)).limit(limit)


def _read_by_me(connection: Connection) -> tuple[ColumnElement[bool], ...]:
    me = id_of_principal(connection)
    awaiting = written_out(ReviewState.AWAITING_SECOND_READER.value)
    return (
        and_(Slide.review == written_out(ReviewState.IN_REVIEW.value), Slide.reader == me),
        and_(Slide.review == awaiting, Slide.second_reader == me),
    )


def _called(called: CalledSo) -> list[ColumnElement[bool]]:
    low = called.words.strip().lower()
    ways = [
        _begins(Slide.accession_digits, low.removeprefix("s-")),
        _begins(Slide.name_folded, low),
        _begins(Slide.name_backwards, low[::-1]),
    ]
    return [*ways, Slide.order_id.in_(called.orders)] if called.orders else ways


def _begins(words: InstrumentedAttribute[Any], start: str) -> ColumnElement[bool]:
    """Compare letter by letter, which `like` does not promise: under a policy it has no index."""
    return and_(words.op("~>=~")(start), words.op("~<~")(start + _LAST_LETTER))


def _revisions(slide_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(*_RESULT, func.machine_hidden(slide_id, type_=Boolean).label("machine_hidden"))
        .join(Bundle, Bundle.number == ResultRevision.bundle)
        .where(ResultRevision.slide_id == slide_id)
    )


def _slides() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Slide.slide_id,
            Slide.specimen_id,
            Slide.site,
            Slide.device,
            Slide.opened_at,
            Slide.slide_name,
            Slide.priority,
            Slide.frames_expected,
            Slide.state,
            Slide.captured,
            Slide.pending,
            Slide.with_result,
            Slide.rejected,
            Slide.quarantined,
            Slide.simulated,
            Slide.urgency,
            _HIDDEN,
            Slide.review,
            Slide.ready_at,
            Slide.changed_since_signing,
            Slide.review_version,
            Slide.reader,
            Slide.reader_name,
            Slide.second_reader,
            Slide.second_reader_name,
            Slide.order_id,
            Order.barcode,
            Order.patient_id,
            *_RESULT,
        )
        .select_from(Slide)
        .outerjoin(
            ResultRevision,
            and_(
                ResultRevision.slide_id == Slide.slide_id,
                ResultRevision.revision == Slide.revision,
            ),
        )
        .outerjoin(Bundle, Bundle.number == ResultRevision.bundle)
        .outerjoin(Order, Order.order_id == Slide.order_id)
    )


def _slide(row: _Row, unranked: Sequence[str] = ()) -> SlideRow:
    urgency = 0 if row.machine_hidden else row.urgency
    return SlideRow(
        slide_id=row.slide_id,
        specimen_id=row.specimen_id,
        site=row.site,
        device=row.device,
        opened_at=row.opened_at,
        slide_name=row.slide_name,
        priority=row.priority,
        frames_expected=row.frames_expected,
        state=SlideState(row.state),
        counts=FrameCounts(
            row.captured, row.pending, row.with_result, row.rejected, row.quarantined
        ),
        simulated=row.simulated,
        machine_hidden=row.machine_hidden,
        urgency=urgency,
        rank=0 if row.site in unranked else urgency,
        review=ReviewState(row.review),
        ready_at=row.ready_at,
        changed_since_signing=row.changed_since_signing,
        review_version=row.review_version,
        reader=row.reader,
        reader_name=row.reader_name,
        second_reader=row.second_reader,
        second_reader_name=row.second_reader_name,
        order_id=row.order_id,
        barcode=row.barcode,
        patient_id=row.patient_id,
        result=_result(row, hidden=row.machine_hidden) if row.revision is not None else None,
    )


def _result(row: _Row, *, hidden: bool) -> ResultRow:
    return ResultRow(
        row.revision,
        row.computed_at,
        row.reason,
        _without_machine(row.content) if hidden else row.content,
        row.bundle_id,
        row.sha256,
        row.trained,
        hidden,
    )


def _without_machine(content: dict[str, Any]) -> dict[str, Any]:
    known = without_machine(SlideSummary.model_validate(content))
    return known.model_copy(update={"flags": (*known.flags, MACHINE_HIDDEN)}).model_dump(
        mode="json"
    )


ONE_SLIDE = _slides().where(Slide.slide_id == bindparam("slide", type_=Uuid()))
"""The slide `:slide` with its result."""
