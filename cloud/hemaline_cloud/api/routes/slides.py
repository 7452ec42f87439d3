"""`/slides`: the list, one slide, its fields, its cells, its result."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import TypeAdapter

from hemaline_cloud.api import examples
from hemaline_cloud.api.caching import REVALIDATE, tagged, unchanged
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.known_patients import patients_of_slides
from hemaline_cloud.api.models import CellView, FieldView, ResultView, RevisionView, SlideView
from hemaline_cloud.api.paging import (
    STORABLE,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    page_of,
)
from hemaline_cloud.api.problems import documented, not_found
from hemaline_cloud.api.views import (
    API,
    cell_view,
    field_view,
    result_view,
    revision_view,
    slide_view,
)
from hemaline_cloud.database.labels import newest_labels
from hemaline_cloud.database.reading.cells import CellKey, list_cells
from hemaline_cloud.database.reading.fields import FieldKey, list_fields
from hemaline_cloud.database.reading.reviewed import moves_of
from hemaline_cloud.database.reading.slides import (
    CalledSo,
    ResultRow,
    SlideKey,
    SlideOrder,
    SlideState,
    get_revision,
    list_revisions,
    list_slides,
)
from hemaline_cloud.review.states import ReviewState

router = APIRouter(prefix=f"{API}/slides", tags=["slides"])

Called = Annotated[
    str | None,
    Query(
        max_length=100,
        pattern=STORABLE,
        description="Of slides whose accession begins so, or whose name begins or ends so. Words "
        "that may name a person go to `POST /slides/search`: an address is written in logs.",
    ),
]
Mine = Annotated[bool, Query(description="Only slides that you are reading.")]
Revision = Annotated[int, Path(ge=1, le=2**31 - 1)]
SLIDE_KEY = TypeAdapter(SlideKey)
FIELD_KEY = TypeAdapter(FieldKey)
CELL_KEY = TypeAdapter(CellKey)
REVISION_KEY = TypeAdapter(int)


@router.get(
    "",
    summary="List slides with their state, counts and findings",
    responses=examples.pages(examples.SLIDE) | documented(HTTPStatus.BAD_REQUEST),
)
def slides(
    context: Context,
    state: SlideState | None = None,
    review: ReviewState | None = None,
    order: SlideOrder = SlideOrder.NEWEST,
    q: Called = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    mine: Mine = False,
) -> Page[SlideView]:
    """Newest first, or with `order=worklist` the urgent ones before the others, then STAT."""
    after = decode_cursor(SLIDE_KEY, cursor)
    with context.reading() as connection:
        rows = list_slides(
            connection,
            limit=limit + 1,
            order=order,
            state=state,
            review=review,
            mine=mine,
            called=CalledSo(q) if q else None,
            after=after,
        )
        moves = moves_of(connection, [row.slide_id for row in rows])
        patients = patients_of_slides(context, connection, rows)
        context.audit_read("slides", shown=[row.slide_id for row in rows[:limit]])
    return page_of(
        rows,
        limit,
        lambda row: slide_view(row, moves.get(row.slide_id, ()), patients.get(row.slide_id)),
        lambda row: encode_cursor(SLIDE_KEY, row.key),
    )


@router.get(
    "/{slide_id}",
    summary="Read one slide",
    response_model=SlideView,
    responses=examples.answers(examples.SLIDE) | documented(HTTPStatus.NOT_FOUND),
)
def slide(context: Context, slide_id: UUID) -> Response:
    """The same as its row in the list."""
    with context.reading() as connection:
        row = existing_slide(connection, slide_id)
        moves = moves_of(connection, [slide_id]).get(slide_id, ())
        patient = patients_of_slides(context, connection, [row]).get(slide_id)
        view = slide_view(row, moves, patient)
        context.audit_read("slide", slide_id, slide_id=slide_id)
    # Spelled here: a view that is returned would be checked and spelled once more.
    return Response(view.model_dump_json(), media_type="application/json")


@router.get(
    "/{slide_id}/fields",
    summary="List a slide's fields in the order of capture",
    responses=examples.pages(examples.FIELD)
    | documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def fields(
    context: Context, slide_id: UUID, limit: Limit = 100, cursor: Cursor = None
) -> Page[FieldView]:
    """Accepted frames only; the ledger (`/frames`) lists every captured one."""
    after = decode_cursor(FIELD_KEY, cursor)
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        rows = list_fields(connection, slide_id, limit=limit + 1, after=after)
        context.audit_read("fields", slide_id, slide_id=slide_id)
    return page_of(rows, limit, field_view, lambda row: encode_cursor(FIELD_KEY, row.key))


@router.get(
    "/{slide_id}/cells",
    summary="List a slide's white cells, the most doubtful first",
    responses=examples.pages(examples.CELL)
    | documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def cells(
    context: Context,
    slide_id: UUID,
    label: Annotated[
        str | None, Query(max_length=63, pattern=STORABLE, description="Of this class only.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[CellView]:
    """From an untrained bundle no cell has a probability: then they come as captured."""
    after = decode_cursor(CELL_KEY, cursor)
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        rows = list_cells(connection, slide_id, limit=limit + 1, label=label, after=after)
        labels = newest_labels(connection, [row.cell_id for row in rows])
        context.audit_read("cells", slide_id, slide_id=slide_id)
    return page_of(
        rows,
        limit,
        lambda row: cell_view(row, labels.get(row.cell_id)),
        lambda row: encode_cursor(CELL_KEY, row.key),
    )


@router.get(
    "/{slide_id}/result",
    summary="Read a slide's current result",
    response_model=ResultView,
    responses=examples.answers(examples.RESULT)
    | documented(HTTPStatus.NOT_FOUND)
    | {304: {"description": "The reader has this revision already."}},
)
def result(context: Context, request: Request, slide_id: UUID) -> Response:
    """Its ETag changes with each revision; ask with If-None-Match."""
    with context.reading() as connection:
        current = existing_slide(connection, slide_id).result
        context.audit_read("result", slide_id, slide_id=slide_id)
    if current is None:
        raise not_found("result", f"of slide {slide_id} yet")
    return _result(request, slide_id, current)


@router.get(
    "/{slide_id}/revisions",
    summary="List the revisions of a slide's result that are kept, newest first",
    responses=examples.pages(examples.REVISION)
    | documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def revisions(
    context: Context, slide_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Page[RevisionView]:
    """A revision is kept while it is the current one, or a bundle's last, or somebody signed it."""
    before = decode_cursor(REVISION_KEY, cursor)
    with context.reading() as connection:
        current = existing_slide(connection, slide_id).result
        rows = list_revisions(connection, slide_id, limit=limit + 1, before=before)
        context.audit_read("revisions", slide_id, slide_id=slide_id)
    newest = current.revision if current else None
    return page_of(
        rows,
        limit,
        lambda row: revision_view(row, current=row.revision == newest),
        lambda row: encode_cursor(REVISION_KEY, row.revision),
    )


@router.get(
    "/{slide_id}/revisions/{revision}",
    summary="Read one revision of a slide's result",
    response_model=ResultView,
    responses=examples.answers(examples.RESULT)
    | documented(HTTPStatus.NOT_FOUND)
    | {304: {"description": "The reader has this revision already."}},
)
def one_revision(
    context: Context, request: Request, slide_id: UUID, revision: Revision
) -> Response:
    """It never changes; one that is no longer kept is not found."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        found = get_revision(connection, slide_id, revision)
        context.audit_read("revision", slide_id, slide_id=slide_id)
    if found is None:
        raise not_found("revision", f"{revision} of slide {slide_id}")
    return _result(request, slide_id, found)


def _result(request: Request, slide_id: UUID, row: ResultRow) -> Response:
    etag = f'"{row.revision}-hidden"' if row.hidden else f'"{row.revision}"'
    body = result_view(slide_id, row).model_dump(mode="json")
    return unchanged(request, etag, REVALIDATE) or tagged(JSONResponse(body), etag, REVALIDATE)
