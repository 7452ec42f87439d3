"""`/`, `/slides/{name}` and its timeline, `/problems`: what each page shows."""

from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from hemaline_cloud.api.command_models import CommandView
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.finding import LONGEST_SEALED, called_so, open_words
from hemaline_cloud.api.known_patients import patients_of_slides, slide_order_view
from hemaline_cloud.api.models import CellView, FieldDetail
from hemaline_cloud.api.paging import Cursor, decode_cursor, encode_cursor, page_of
from hemaline_cloud.api.problems import ProblemError, not_found
from hemaline_cloud.api.rendering import render
from hemaline_cloud.api.review_views import morphology_view, readings_view, shares_side_by_side
from hemaline_cloud.api.routes.added_cells import WHITE_CELL_UM
from hemaline_cloud.api.routes.ledger import DEAD_LETTER_KEY, FRAME_KEY
from hemaline_cloud.api.routes.review import read_review
from hemaline_cloud.api.routes.slides import CELL_KEY, SLIDE_KEY, Called, Mine
from hemaline_cloud.api.routes.timeline import timeline_page
from hemaline_cloud.api.views import (
    cell_view,
    dead_letter_view,
    field_detail,
    frame_view,
    result_view,
    slide_view,
)
from hemaline_cloud.api.words import REQUEST_REASONS
from hemaline_cloud.blasts import not_enough_cells
from hemaline_cloud.database.added_cells import added_cells
from hemaline_cloud.database.comments import comments_of
from hemaline_cloud.database.device_commands import requests_of
from hemaline_cloud.database.labels import newest_labels
from hemaline_cloud.database.morphology import newest_morphology
from hemaline_cloud.database.reading.bounds import MANY
from hemaline_cloud.database.reading.cells import (
    CellRow,
    all_cells,
    cells_after,
    field_cells,
    get_cell,
    preview_cells,
)
from hemaline_cloud.database.reading.fields import (
    FieldRow,
    StripEntry,
    field_answers,
    get_field,
    strip_around,
)
from hemaline_cloud.database.reading.ledger import (
    count_problems,
    list_dead_letters,
    list_frames,
)
from hemaline_cloud.database.reading.reviewed import moves_of
from hemaline_cloud.database.reading.slides import (
    SlideOrder,
    SlideRow,
    count_by_review,
    count_mine,
    list_slides,
    reasons,
    slides_called,
)
from hemaline_cloud.database.readings import readings_of
from hemaline_cloud.people.rights import Right
from hemaline_cloud.review.states import ReviewState

router = APIRouter(include_in_schema=False)

_SLIDES = 40
_PREVIEWS = 6
_GALLERY = 120
_STRIP_REACH = 20
_PROBLEMS = 60
_EVENTS = 100


@router.get("/")
def worklist(
    context: Context,
    request: Request,
    review: ReviewState | None = None,
    q: Called = None,
    find: Annotated[str | None, Query(max_length=LONGEST_SEALED)] = None,
    cursor: Cursor = None,
    *,
    mine: Mine = False,
) -> Response:
    """Slides, the urgent ones first, then the newest."""
    after = decode_cursor(SLIDE_KEY, cursor)
    words = q or open_words(context, find)
    with context.reading() as connection:
        rows = list_slides(
            connection,
            limit=_SLIDES + 1,
            order=SlideOrder.WORKLIST,
            review=review,
            mine=mine,
            called=called_so(context, connection, words),
            after=after,
        )
        counts = count_by_review(connection)
        of_mine = count_mine(connection)
        previews = preview_cells(connection, [row.slide_id for row in rows], cells=_PREVIEWS)
        patients = patients_of_slides(context, connection, rows)
        context.audit_read("worklist", shown=[row.slide_id for row in rows[:_SLIDES]])
    page = page_of(
        rows,
        _SLIDES,
        lambda row: slide_view(row, patient=patients.get(row.slide_id)),
        lambda row: encode_cursor(SLIDE_KEY, row.key),
    )
    values = {
        "page": page,
        "found": {row.slide_id: row.result.content if row.result else None for row in rows},
        "previews": previews,
        "review": review,
        "mine": mine,
        "q": words,
        "keeps_orders": bool(context.identity_keys),
        "knows": context.sites_with(Right.IDENTIFY) != frozenset(),
        "counts": counts,
        "of_mine": of_mine,
        "many": MANY,
    }
    return render(request, "worklist.html", values)


@router.get("/slides/{name}")
def slide(
    context: Context,
    request: Request,
    name: str,
    field: UUID | None = None,
    cell: UUID | None = None,
    label: Annotated[str | None, Query(max_length=63)] = None,
    cursor: Cursor = None,
) -> Response:
    """One slide: its result, its cells, and one of its fields with the boxes."""
    after = decode_cursor(CELL_KEY, cursor)
    with context.reading() as connection:
        row = _named(connection, name)
        chosen = _chosen_cell(connection, row, cell)
        every = all_cells(connection, row.slide_id)
        cells = cells_after(every, limit=_GALLERY + 1, label=label, after=after)
        labels = newest_labels(connection, [cell_row.cell_id for cell_row in cells])
        gallery = page_of(
            cells,
            _GALLERY,
            lambda cell_row: cell_view(cell_row, labels.get(cell_row.cell_id)),
            lambda cell_row: encode_cursor(CELL_KEY, cell_row.key),
        )
        moves = moves_of(connection, [row.slide_id]).get(row.slide_id, ())
        review = read_review(connection, context.principal, row, every)
        result = result_view(row.slide_id, row.result) if row.result else None
        read = review.read_so_far
        order = slide_order_view(context, connection, row)
        may_link = bool(context.identity_keys) and context.may(Right.REVIEW, row.site)
        values = {
            "slide": slide_view(row, moves, order.order.patient if order.order else None),
            "order": order,
            "may_link": may_link,
            "result": result,
            "read": read if read and read.named else None,
            "wanted": not_enough_cells(read.blasts) if read else None,
            "shares": shares_side_by_side(read.differential, result.summary.differential or ())
            if read and result
            else (),
            "reasons": reasons(connection, row.slide_id),
            "gallery": gallery,
            "first": cursor is None,
            "label": label,
            "cell": _shown_cell(connection, chosen) if chosen else None,
            "review": review,
            "readings": readings_view(
                readings_of(connection, row.slide_id) if review.agreement else (), review.agreement
            ),
            "morphology": morphology_view(newest_morphology(connection, row.slide_id)),
            "comments": comments_of(connection, row.slide_id),
            "requests": [
                CommandView.model_validate(each) for each in requests_of(connection, row.slide_id)
            ],
            "may_ask": context.may(Right.REVIEW, row.site),
            "request_reasons": REQUEST_REASONS,
            "added": added_cells(connection, row.slide_id),
            "unseen": {cell.cell_id for cell in review.to_see if not cell.seen},
            **_viewer(connection, row, chosen.frame_id if chosen else field),
        }
        context.audit_read("slide", row.slide_id, slide_id=row.slide_id)
    return render(request, "slide.html", values)


@router.get("/slides/{name}/timeline")
def timeline(
    context: Context,
    request: Request,
    name: str,
    *,
    reads: bool = False,
    cursor: Cursor = None,
) -> Response:
    """Who did what to a slide; with `reads`, who looked at it, too."""
    with context.reading() as connection:
        row = _named(connection, name)
        page = timeline_page(connection, row.slide_id, _EVENTS, cursor, reads=reads)
        context.audit_read("timeline", row.slide_id, slide_id=row.slide_id)
    values = {"slide": slide_view(row), "page": page, "reads": reads}
    return render(request, "timeline.html", values)


@router.get("/problems")
def problems(
    context: Context,
    request: Request,
    kind: Literal["rejected", "quarantined", "dead-letters"] = "quarantined",
    cursor: Cursor = None,
) -> Response:
    """What did not become a result, and why."""
    with context.reading() as connection:
        counts = count_problems(connection)
        shown: list[UUID] = []
        if kind == "dead-letters":
            letters = list_dead_letters(
                connection, limit=_PROBLEMS + 1, after=decode_cursor(DEAD_LETTER_KEY, cursor)
            )
            page: Any = page_of(
                letters,
                _PROBLEMS,
                dead_letter_view,
                lambda row: encode_cursor(DEAD_LETTER_KEY, row.key),
            )
        else:
            frames = list_frames(
                connection,
                limit=_PROBLEMS + 1,
                states=(kind,),
                after=decode_cursor(FRAME_KEY, cursor),
            )
            page = page_of(
                frames, _PROBLEMS, frame_view, lambda row: encode_cursor(FRAME_KEY, row.frame_id)
            )
            shown = list({row.slide_id: None for row in frames[:_PROBLEMS]})
        context.audit_read("problems", shown=shown)
    values = {"page": page, "kind": kind, "counts": counts, "many": MANY}
    return render(request, "problems.html", values)


def _named(connection: Connection, name: str) -> SlideRow:
    """Find a slide by its id or its accession."""
    return existing_slide(connection, _slide_id(connection, name))


def _slide_id(connection: Connection, name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        ids = slides_called(connection, name)
    if len(ids) > 1:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "ambiguous-accession",
            f"Several slides are called {name}. Ask by id: {', '.join(map(str, ids))}.",
        )
    if not ids:
        raise not_found("slide", name)
    return ids[0]


def _chosen_cell(connection: Connection, slide: SlideRow, cell: UUID | None) -> CellRow | None:
    if cell is None:
        return None
    found = get_cell(connection, cell)
    if found is None or found.slide_id != slide.slide_id:
        raise not_found("cell", f"{cell} in this slide")
    return found


def _viewer(connection: Connection, slide: SlideRow, field: UUID | None) -> dict[str, Any]:
    """Return the field to look at, and the strip around it; without `field`, the first."""
    strip = strip_around(connection, slide.slide_id, field, reach=_STRIP_REACH)
    place = _place(strip, field)
    row = get_field(connection, strip[place].frame_id) if strip else None
    if field and (row is None or row.frame_id != field):
        raise not_found("field", f"{field} in this slide")
    return {
        "strip": strip,
        "field": _detail(connection, row) if row else None,
        "white_cell_px": round(WHITE_CELL_UM / row.um_per_px) if row else None,
        "here": strip[place] if strip else None,
        "previous": strip[place - 1] if place > 0 else None,
        "following": strip[place + 1] if place + 1 < len(strip) else None,
    }


def _detail(connection: Connection, row: FieldRow) -> FieldDetail:
    cells = field_cells(connection, row.frame_id)
    labels = newest_labels(connection, [cell.cell_id for cell in cells])
    return field_detail(row, cells, field_answers(connection, row.frame_id), labels)


def _shown_cell(connection: Connection, row: CellRow) -> CellView:
    return cell_view(row, newest_labels(connection, [row.cell_id]).get(row.cell_id))


def _place(strip: list[StripEntry], field: UUID | None) -> int:
    return next((place for place, entry in enumerate(strip) if entry.frame_id == field), 0)
