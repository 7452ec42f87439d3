"""`/slides/{id}/timeline`: who did what to a slide, out of the audit."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import TypeAdapter
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.paging import Cursor, Limit, Page, decode_cursor, encode_cursor, page_of
from hemaline_cloud.api.problems import documented
from hemaline_cloud.api.review_models import TimelineEventView
from hemaline_cloud.api.views import API
from hemaline_cloud.database.audit import timeline_of

router = APIRouter(prefix=API, tags=["review"])

_KEY = TypeAdapter(UUID)
Reads = Annotated[bool, Query(description="Also who looked at it, and at which cells.")]


@router.get(
    "/slides/{slide_id}/timeline",
    summary="List who did what to a slide, the newest first",
    responses=examples.pages(examples.TIMELINE_EVENT)
    | documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def timeline(
    context: Context,
    slide_id: UUID,
    limit: Limit = 100,
    cursor: Cursor = None,
    *,
    reads: Reads = False,
) -> Page[TimelineEventView]:
    """Labels, comments, steps of the review, signatures, and what operators did to its frames."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        context.audit_read("timeline", slide_id, slide_id=slide_id)
        return timeline_page(connection, slide_id, limit, cursor, reads=reads)


def timeline_page(
    connection: Connection, slide_id: UUID, limit: int, cursor: str | None, *, reads: bool
) -> Page[TimelineEventView]:
    """Return one page of a slide's timeline, for the API and for people.

    Raises:
        ProblemError: 400 `invalid-cursor`.
    """
    before = decode_cursor(_KEY, cursor)
    rows = timeline_of(connection, slide_id, limit=limit + 1, before=before, reads=reads)
    return page_of(
        rows,
        limit,
        TimelineEventView.model_validate,
        lambda row: encode_cursor(_KEY, row.event_id),
    )
