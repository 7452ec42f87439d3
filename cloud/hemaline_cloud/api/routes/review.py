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
from hemaline_cloud.api.problems import ProblemError, documented
from hemaline_cloud.api.review_models import (
    ReviewStep,
    ReviewView,
    SeenBody,
    SeenView,
    SignatureBody,
    SignatureView,
)
from hemaline_cloud.api.views import API, review_view, signature_view
from hemaline_cloud.api.words import humanise
from hemaline_cloud.api.writing import VERSIONED_PROBLEMS, WRITING_PROBLEMS, Done, Write, etag
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.reading.cells import CellRow, all_cells
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.review import (
    ReviewChangedError,
    change_review,
    count_change,
    hold_for_change,
    set_reader,
)
from hemaline_cloud.database.seen import add_seen
from hemaline_cloud.database.signing import (
    NotAllSeenError,
    OtherRevisionError,
    sign,
    signatures_of,
    unseen_by,
)
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.states import Transition
from hemaline_shared.errors import PermanentError

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

    `call-unfit` says that nothing can be said of it: a new slide of the specimen is wanted.
    """
    context.require_review(Right.SIGN)
    if body.step == "call-unfit" and body.reason is None:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "reason-missing", "Say why the slide is unfit."
        )
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        _hold(connection, slide_id, version)
        _allowed(connection, slide_id, Transition(body.step))
        if body.step != "call-unfit":
            set_reader(connection, slide_id, who if body.step == "begin-review" else None)
        count_change(connection, slide_id)
        slide = existing_slide(connection, slide_id)
        event = Event(body.step, "slide", slide_id, body.reason or "", slide.site, slide_id)
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
            raise _other_revision(slide.result.revision if slide.result else None)
        add_seen(connection, who, slide_id, body.revision, cells=body.cells, fields=body.fields)
        unseen = unseen_by(connection, who, slide, all_cells(connection, slide_id))
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
        _hold(connection, slide_id, version)
        try:
            row = sign(connection, who, slide_id, body.revision, body.reason)
        except OtherRevisionError as error:
            raise _other_revision(error.current) from error
        except NotAllSeenError as error:
            raise _not_all_seen(error) from error
        except PermanentError as error:
            raise ProblemError(HTTPStatus.CONFLICT, error.reason, str(error)) from error
        action = "sign" if row.amends is None else "amend"
        detail = f"revision {row.revision}, report {row.report_sha256}"
        event = Event(action, "signature", row.signature_id, detail, row.site, slide_id)
        return Done(signature_view(row), event, count_change(connection, slide_id))

    return writing.write(act, Right.SIGN, freshly=True)


def read_review(
    connection: Connection, who: Principal, slide: SlideRow, cells: Sequence[CellRow]
) -> ReviewView:
    """Return how far a slide's review is, as one person sees it; `cells` are all of the slide."""
    unseen = unseen_by(connection, who, slide, cells)
    return review_view(slide, unseen, signatures_of(connection, slide.slide_id))


def _hold(connection: Connection, slide_id: UUID, version: int) -> None:
    existing_slide(connection, slide_id)
    try:
        hold_for_change(connection, slide_id, version)
    except ReviewChangedError as error:
        # Read after the wait for the slide: the state before it is no news.
        slide = existing_slide(connection, slide_id)
        reader = f" {slide.reader_name} reads it." if slide.reader_name else ""
        raise ProblemError(
            HTTPStatus.PRECONDITION_FAILED,
            "changed-meanwhile",
            f"Somebody changed this slide meanwhile: it is {humanise(slide.review).lower()}."
            f"{reader} Look again.",
            errors=[{"where": "If-Match", "fault": "is older", "etag": etag(error.version)}],
        ) from error


def _allowed(connection: Connection, slide_id: UUID, transition: Transition) -> None:
    try:
        change_review(connection, slide_id, transition)
    except PermanentError as error:
        raise ProblemError(HTTPStatus.CONFLICT, error.reason, str(error)) from error


def _other_revision(current: int | None) -> ProblemError:
    now = f"It is revision {current} now" if current else "It has no result yet"
    return ProblemError(
        HTTPStatus.CONFLICT, "other-revision", f"{now}: more fields came. Look at the slide again."
    )


def _not_all_seen(error: NotAllSeenError) -> ProblemError:
    unseen = error.unseen
    parts = []
    if unseen.cells:
        parts.append(f"{len(unseen.cells)} cell{'s' if len(unseen.cells) > 1 else ''}")
    if unseen.fields:
        parts.append(f"{unseen.fields} field{'s' if unseen.fields > 1 else ''} at full resolution")
    return ProblemError(
        HTTPStatus.CONFLICT,
        "not-all-seen",
        f"Not signed: you have not seen {' and '.join(parts)} yet.",
        errors=[
            {"where": str(cell_id), "fault": unseen.to_see[cell_id]} for cell_id in unseen.cells
        ],
    )
