"""`/slides/{id}/review`, `/seen`, `/signatures`: a person reads a slide and stands behind it."""

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.problems import documented
from hemaline_cloud.api.review_models import (
    CallUnfit,
    ReadingBody,
    ReadingFinished,
    ReadingsView,
    ReviewStep,
    ReviewView,
    SeenBody,
    SeenView,
    SignatureBody,
    SignatureView,
)
from hemaline_cloud.api.review_refusals import hold_unchanged, other_revision, refusals
from hemaline_cloud.api.review_views import (
    agreement_view,
    readings_view,
    review_view,
    signature_view,
)
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import VERSIONED_PROBLEMS, WRITING_PROBLEMS, Done, Write, etag
from hemaline_cloud.database.added_cells import added_cells
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.comments import add_comment
from hemaline_cloud.database.labels import labels_of_slide
from hemaline_cloud.database.patterns import slide_patterns
from hemaline_cloud.database.reading.cells import CellRow, all_cells
from hemaline_cloud.database.reading.machine import named_cells
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.readings import (
    ReadingRow,
    begin_second_reading,
    compare_readings,
    leave_second_reading,
    readings_of,
)
from hemaline_cloud.database.reports import read_so_far
from hemaline_cloud.database.review import change_review, count_change, set_reader
from hemaline_cloud.database.seen import add_seen
from hemaline_cloud.database.signing import SignatureRow, finish_reading, sign, signatures_of
from hemaline_cloud.database.unseen import unseen_by
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.report import Agreement
from hemaline_cloud.review.second_reading import why_second_reader
from hemaline_cloud.review.states import ReviewState, Transition

router = APIRouter(prefix=API, tags=["review"])


@router.get(
    "/slides/{slide_id}/review",
    summary="Read how far a slide's review is, and what you must still see",
    response_model=ReviewView,
    responses=examples.answers(examples.REVIEW) | documented(HTTPStatus.NOT_FOUND),
)
def review(context: Context, slide_id: UUID) -> Response:
    """Its ETag is what a step or a signature names in If-Match."""
    with context.reading() as connection:
        slide = existing_slide(connection, slide_id)
        cells = all_cells(connection, slide_id)
        view = read_review(connection, context.principal, slide, cells)
        context.audit_read("review", slide_id, slide_id=slide_id)
    headers = {"ETag": etag(view.version), "Cache-Control": "no-store"}
    return JSONResponse(view.model_dump(mode="json"), headers=headers)


@router.post(
    "/slides/{slide_id}/review",
    summary="Begin, leave or end the review of a slide",
    response_model=ReviewView,
    responses=examples.answers(examples.REVIEW) | documented(*VERSIONED_PROBLEMS),
)
def step(context: Context, writing: Write, slide_id: UUID, body: ReviewStep) -> Response:
    """`begin-review` names you as its reader, `leave-review` gives it back.

    `call-unfit` says that nothing can be said of it: a new slide of the specimen is wanted. Its
    reason stands among the comments.
    """
    context.require_review(Right.SIGN)
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        hold_unchanged(connection, slide_id, version)
        with refusals():
            _take(connection, who, existing_slide(connection, slide_id), body.step)
        count_change(connection, slide_id)
        slide = existing_slide(connection, slide_id)
        reason = body.reason if isinstance(body, CallUnfit) else ""
        if reason:
            add_comment(connection, who, slide, f"Unfit: {reason}")
        event = Event(body.step, "slide", slide_id, reason, slide.site, slide_id)
        view = read_review(connection, who, slide, all_cells(connection, slide_id))
        return Done(view, event, view.version)

    return writing.write(act, Right.SIGN)


@router.post(
    "/slides/{slide_id}/seen",
    summary="Say which cells and fields you have seen",
    response_model=SeenView,
    responses=examples.answers(examples.SEEN) | documented(*WRITING_PROBLEMS),
)
def seen(context: Context, writing: Write, slide_id: UUID, body: SeenBody) -> Response:
    """Pages say it by themselves. It holds for you alone, and for this revision."""
    context.require_review()

    def act(connection: Connection, who: Principal) -> Done:
        slide = existing_slide(connection, slide_id)
        if slide.result is None or slide.result.revision != body.revision:
            raise other_revision(slide.result.revision if slide.result else None)
        add_seen(connection, who, slide_id, body.revision, cells=body.cells, fields=body.fields)
        cells, labels = all_cells(connection, slide_id), labels_of_slide(connection, slide_id)
        unseen = unseen_by(connection, who, slide, cells, labels)
        assert unseen, "it has a result"
        view = SeenView(cells_unseen=len(unseen.cells), fields_unseen=unseen.fields)
        detail = f"revision {body.revision}: {len(body.cells)} cells, {len(body.fields)} fields"
        event = Event("see", "slide", slide_id, detail, slide.site, slide_id)
        return Done(view, event, is_told=False)

    return writing.write(act)


@router.post(
    "/slides/{slide_id}/signatures",
    summary="Sign a slide's result, or amend what was signed",
    response_model=SignatureView,
    responses=examples.answers(examples.SIGNATURE) | documented(*VERSIONED_PROBLEMS),
)
def add_signature(
    context: Context, writing: Write, slide_id: UUID, body: SignatureBody
) -> Response:
    """It freezes the revision, people's labels and the report. What comes later never changes it.

    Refused with 409 and each unseen cell while the policy asks for more to be seen; with 401
    `log-in-again` where the log-in is minutes old.
    """
    context.require_review(Right.SIGN)
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        hold_unchanged(connection, slide_id, version)
        with refusals():
            row = sign(
                connection,
                who,
                slide_id,
                body.revision,
                body.reason,
                keep_pattern=body.keep_pattern,
            )
        action = "sign" if row.amends is None else "amend"
        event = Event(action, "signature", row.signature_id, _signed(row), row.site, slide_id)
        return Done(signature_view(row), event, count_change(connection, slide_id))

    return writing.write(act, Right.SIGN, freshly=True)


@router.get(
    "/slides/{slide_id}/readings",
    summary="List what two readers said of a slide",
    responses=examples.answers(examples.READINGS) | documented(HTTPStatus.NOT_FOUND),
)
def readings(context: Context, slide_id: UUID) -> ReadingsView:
    """While it awaits its second reader, each sees their own alone."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        rows = readings_of(connection, slide_id)
        context.audit_read("readings", slide_id, slide_id=slide_id)
        cells = all_cells(connection, slide_id) if len(rows) == 2 else ()
        found = _agreement(rows, cells)
        return readings_view(rows, agreement_view(found))


@router.post(
    "/slides/{slide_id}/readings",
    summary="End your reading, where two people read a slide",
    response_model=ReadingFinished,
    responses=examples.answers(examples.READING_FINISHED) | documented(*VERSIONED_PROBLEMS),
)
def add_reading(context: Context, writing: Write, slide_id: UUID, body: ReadingBody) -> Response:
    """The first reading hands the slide on to another person, who sees nothing of what you said.

    After the second, the slide is signed at once where both agree about each blast and each
    threshold: the first reader's words hold. Else somebody must adjudicate, and sees both.
    Refused as a signature is. Where the policy asks for one reader, a reason asks for another.
    """
    context.require_review(Right.SIGN)
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        hold_unchanged(connection, slide_id, version)
        with refusals():
            reading, signature = finish_reading(
                connection,
                who,
                slide_id,
                body.revision,
                asks=body.reason is not None,
                keep_pattern=body.keep_pattern,
            )
        if body.reason and reading.number == 1:
            slide = existing_slide(connection, slide_id)
            add_comment(connection, who, slide, f"Asked a colleague: {body.reason}")
        outcome = _signed(signature) if signature else f"revision {reading.revision}"
        detail = f"reading {reading.number}, {outcome}"
        event = Event(
            "finish-reading", "reading", reading.reading_id, detail, reading.site, slide_id
        )
        view = ReadingFinished(
            state=existing_slide(connection, slide_id).review,
            version=count_change(connection, slide_id),
            signature=signature_view(signature) if signature else None,
        )
        return Done(view, event, view.version)

    return writing.write(act, Right.SIGN, freshly=True)


def read_review(
    connection: Connection, who: Principal, slide: SlideRow, cells: Sequence[CellRow]
) -> ReviewView:
    """Return how far a slide's review is, as one person sees it; `cells` are all of the slide."""
    labels = labels_of_slide(connection, slide.slide_id)
    unseen = unseen_by(connection, who, slide, cells, labels)
    found = _agreement(readings_of(connection, slide.slide_id), cells)
    rule = unseen.policy.policy.second_reader if unseen and not found else None
    read = read_so_far(slide, cells, labels, added_cells(connection, slide.slide_id))
    wanted = why_second_reader(rule, read.summary) if read else ()
    signatures = signatures_of(connection, slide.slide_id)
    named = named_cells(connection, slide.slide_id)
    patterns = slide_patterns(connection, slide, read)
    view = review_view(who, slide, unseen, signatures, wanted, found, read, named)
    return view.model_copy(update={"patterns": patterns})


def _take(connection: Connection, who: Principal, slide: SlideRow, step: str) -> None:
    """Let a step happen; that of a slide which awaits its second reader leaves its state."""
    awaiting = slide.review is ReviewState.AWAITING_SECOND_READER
    if step == "begin-review" and awaiting:
        begin_second_reading(connection, who, slide.slide_id)
        return
    if step == "leave-review" and awaiting:
        leave_second_reading(connection, who, slide.slide_id)
        return
    change_review(connection, slide.slide_id, Transition(step))
    if step != "call-unfit":
        set_reader(connection, slide.slide_id, who if step == "begin-review" else None)


def _agreement(rows: Sequence[ReadingRow], cells: Sequence[CellRow]) -> Agreement | None:
    return compare_readings(rows, cells) if len(rows) == 2 else None


def _signed(row: SignatureRow) -> str:
    return f"revision {row.revision}, report {row.report_sha256}"
