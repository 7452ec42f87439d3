"""The only place that changes a slide's review: its state, by named transitions, its reader."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, and_, func, or_, select, update

from hemaline_cloud.database.schema import Frame, Slide
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.states import ReviewState, Transition, after
from hemaline_shared.errors import PermanentError

_AT_ONCE = 500
_NOBODY = {"reader": None, "reader_name": None}


class ReviewChangedError(Exception):
    """Somebody changed the slide's review meanwhile; nothing was changed now.

    Attributes:
        version: Of its review at present.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"the review has version {version}")
        self.version = version


def change_review(connection: Connection, slide_id: UUID, transition: Transition) -> ReviewState:
    """Let something happen to a slide; return the state that follows.

    Args:
        connection: In a transaction; the slide is held to its end.
        slide_id: Which.
        transition: What happens.

    Raises:
        PermanentError: `no-such-slide`, or `not-now` where the state does not allow it.
    """
    state = connection.scalar(
        select(Slide.review).where(Slide.slide_id == slide_id).with_for_update(key_share=True)
    )
    if state is None:
        raise PermanentError("no-such-slide", f"There is no slide {slide_id}.")
    following = after(ReviewState(state), transition)
    _write(connection, [slide_id], following)
    return following


def hold_for_change(connection: Connection, slide_id: UUID, version: int) -> None:
    """Hold a slide to the transaction's end, if nobody changed its review meanwhile.

    Args:
        connection: In a transaction.
        slide_id: Which.
        version: Of its review, as whoever changes it saw it.

    Raises:
        PermanentError: `no-such-slide`.
        ReviewChangedError: The version is another one by now.
    """
    query = select(Slide.review_version).where(Slide.slide_id == slide_id)
    found = connection.scalar(query.with_for_update(key_share=True))
    if found is None:
        raise PermanentError("no-such-slide", f"There is no slide {slide_id}.")
    if found != version:
        raise ReviewChangedError(found)


def count_change(connection: Connection, slide_id: UUID) -> int:
    """Count that a person changed something of a slide; return the version that follows."""
    change = update(Slide).where(Slide.slide_id == slide_id)
    version: int | None = connection.scalar(
        change.values(review_version=Slide.review_version + 1).returning(Slide.review_version)
    )
    assert version, "the slide is there: something of it was changed"
    return version


def count_reported_change(connection: Connection, slide_id: UUID) -> None:
    """Count that a report would say something else; a slide that is signed has changed since."""
    signed = Slide.review.in_((ReviewState.SIGNED.value, ReviewState.AMENDED.value))
    connection.execute(
        update(Slide)
        .where(Slide.slide_id == slide_id)
        .values(
            review_version=Slide.review_version + 1,
            changed_since_signing=or_(Slide.changed_since_signing, signed),
        )
    )


def set_reader(connection: Connection, slide_id: UUID, who: Principal | None) -> None:
    """Keep who reviews a slide; None: nobody any more."""
    values = {"reader": who.id, "reader_name": who.name} if who else _NOBODY
    connection.execute(update(Slide).where(Slide.slide_id == slide_id).values(**values))


def make_ready(connection: Connection, quiet_s: float) -> list[UUID]:
    """Let slides be reviewed of which nothing more is expected; return them.

    Those that their device has ended, with every frame settled, and those of which no frame came
    for so many seconds. Slides that somebody else holds are left to the next time.
    """
    complete = Slide.state == "complete"
    newest = (
        select(func.max(Frame.received_at))
        .where(Frame.slide_id == Slide.slide_id)
        .correlate(Slide)
        .scalar_subquery()
    )
    quiet = and_(
        Slide.captured > 0,
        Slide.pending == 0,
        newest < func.now() - timedelta(seconds=quiet_s),
    )
    waiting = (
        select(Slide.slide_id, complete.label("complete"))
        .where(Slide.review == ReviewState.RECEIVING.value, or_(complete, quiet))
        .order_by(Slide.slide_id)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True, key_share=True)
    )
    made = []
    rows = connection.execute(waiting).all()
    for transition, wanted in (
        (Transition.FRAMES_COMPLETE, True),
        (Transition.FRAMES_QUIET, False),
    ):
        slide_ids = [row.slide_id for row in rows if row.complete is wanted]
        _write(connection, slide_ids, after(ReviewState.RECEIVING, transition))
        made += slide_ids
    connection.execute(update(Slide).where(Slide.slide_id.in_(made)).values(ready_at=func.now()))
    return made


def _write(connection: Connection, slide_ids: Sequence[UUID], state: ReviewState) -> None:
    if slide_ids:
        connection.execute(
            update(Slide).where(Slide.slide_id.in_(slide_ids)).values(review=state.value)
        )
