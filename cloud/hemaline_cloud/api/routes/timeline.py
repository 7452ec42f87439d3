"""`/slides/{id}/timeline`: who did what to a slide, out of the audit."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import TypeAdapter

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.paging import Cursor, Limit, Page, decode_cursor, encode_cursor, page_of
from hemaline_cloud.api.problems import documented
from hemaline_cloud.api.review_models import TimelineEventView
from hemaline_cloud.api.views import API
from hemaline_cloud.database.audit import timeline_of

router = APIRouter(prefix=API, tags=["review"])

TIMELINE_KEY = TypeAdapter(UUID)
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
    reads: Reads = False,  # noqa: FBT002  # a query parameter
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[TimelineEventView]:
    """Labels, comments, steps of the review, signatures, and what operators did to its frames."""
    before = decode_cursor(TIMELINE_KEY, cursor)
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        rows = timeline_of(connection, slide_id, limit=limit + 1, before=before, reads=reads)
        context.audit_read("timeline", slide_id, slide_id=slide_id)
    return page_of(
        rows,
        limit,
        TimelineEventView.model_validate,
        lambda row: encode_cursor(TIMELINE_KEY, row.event_id),
    )
