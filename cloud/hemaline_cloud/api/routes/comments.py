"""`…/comments`: what people write about a slide, its fields and its cells."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_cell, existing_slide
from hemaline_cloud.api.problems import documented, not_found
from hemaline_cloud.api.review_models import CommentBody, CommentsView, CommentView
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import WRITING_PROBLEMS, Done, Write
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.comments import CommentRow, add_comment, comments_of
from hemaline_cloud.database.reading.fields import get_field
from hemaline_cloud.principal import Principal

router = APIRouter(prefix=API, tags=["review"])

_ANSWERS = examples.answers(examples.COMMENT) | documented(*WRITING_PROBLEMS)


@router.get(
    "/slides/{slide_id}/comments",
    summary="Read the comments on a slide, its fields and its cells",
    responses=examples.answers(examples.COMMENTS) | documented(HTTPStatus.NOT_FOUND),
)
def comments(context: Context, slide_id: UUID) -> CommentsView:
    """Oldest first."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        rows = comments_of(connection, slide_id)
        context.audit_read("comments", slide_id, slide_id=slide_id)
    return CommentsView(comments=[CommentView.model_validate(row) for row in rows])


@router.post(
    "/slides/{slide_id}/comments",
    summary="Comment on a slide",
    response_model=CommentView,
    responses=_ANSWERS,
)
def comment_slide(context: Context, writing: Write, slide_id: UUID, body: CommentBody) -> Response:
    """A comment is never changed; another one can follow."""
    context.require_review()

    def act(connection: Connection, who: Principal) -> Done:
        slide = existing_slide(connection, slide_id)
        return _told(add_comment(connection, who, slide, body.text))

    return writing.write(act)


@router.post(
    "/fields/{frame_id}/comments",
    summary="Comment on a field",
    response_model=CommentView,
    responses=_ANSWERS,
)
def comment_field(context: Context, writing: Write, frame_id: UUID, body: CommentBody) -> Response:
    """It stands among the comments of its slide."""
    context.require_review()

    def act(connection: Connection, who: Principal) -> Done:
        field = get_field(connection, frame_id)
        if field is None:
            raise not_found("field", frame_id)
        slide = existing_slide(connection, field.slide_id)
        return _told(add_comment(connection, who, slide, body.text, frame_id=frame_id))

    return writing.write(act)


@router.post(
    "/cells/{cell_id}/comments",
    summary="Comment on a cell",
    response_model=CommentView,
    responses=_ANSWERS,
)
def comment_cell(context: Context, writing: Write, cell_id: UUID, body: CommentBody) -> Response:
    """It stands among the comments of its slide."""
    context.require_review()

    def act(connection: Connection, who: Principal) -> Done:
        cell = existing_cell(connection, cell_id)
        slide = existing_slide(connection, cell.slide_id)
        row = add_comment(
            connection, who, slide, body.text, frame_id=cell.frame_id, cell_id=cell_id
        )
        return _told(row)

    return writing.write(act)


def _told(row: CommentRow) -> Done:
    # The text stands in the comment, which is as little changed as the audit.
    event = Event("comment", "comment", row.comment_id, "", row.site, row.slide_id)
    return Done(CommentView.model_validate(row), event)
