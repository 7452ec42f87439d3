"""`/fields/{id}/added-cells`: white cells that people add where the finder missed them."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.problems import ProblemError, documented, not_found
from hemaline_cloud.api.review_models import AddCellBody, AddedCellsView, AddedCellView
from hemaline_cloud.api.review_refusals import not_the_reader
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import WRITING_PROBLEMS, Done, Write
from hemaline_cloud.database.added_cells import (
    AddedCellRow,
    add_cell,
    added_cells,
    find_added,
    take_back_cell,
)
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.labels import NotTheReaderError
from hemaline_cloud.database.reading.cells import field_cells
from hemaline_cloud.database.reading.fields import FieldRow, get_field
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box

router = APIRouter(prefix=API, tags=["review"])

WHITE_CELL_UM = 13.0
"""The side of an added cell's box: a typical white cell on a smear is 12 to 15 µm across."""


@router.get(
    "/slides/{slide_id}/added-cells",
    summary="List the cells that people have added to a slide",
    responses=examples.answers(examples.ADDED_CELLS) | documented(HTTPStatus.NOT_FOUND),
)
def cells_added(context: Context, slide_id: UUID) -> AddedCellsView:
    """While it awaits its second reader, each sees their own alone."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        rows = added_cells(connection, slide_id)
        context.audit_read("cells", slide_id, slide_id=slide_id)
    return AddedCellsView(added=[AddedCellView.model_validate(row) for row in rows])


@router.post(
    "/fields/{frame_id}/added-cells",
    summary="Add a white cell that the finder missed",
    response_model=AddedCellView,
    responses=examples.answers(examples.ADDED_CELL) | documented(*WRITING_PROBLEMS),
)
def add(context: Context, writing: Write, frame_id: UUID, body: AddCellBody) -> Response:
    """It counts by the reader, outlives every bundle, and stands in the report as added by hand."""
    context.require_review()

    def act(connection: Connection, who: Principal) -> Done:
        field = get_field(connection, frame_id)
        if field is None:
            raise not_found("field", frame_id)
        box = _box(connection, field, body)
        try:
            row = add_cell(connection, who, field, box, body.label)
        except NotTheReaderError as error:
            raise not_the_reader(error) from error
        return Done(AddedCellView.model_validate(row), _event("add-cell", row, body.label))

    return writing.write(act)


@router.delete(
    "/slides/{slide_id}/added-cells/{added_cell_id}",
    summary="Take back a cell that somebody added",
    response_model=AddedCellView,
    responses=examples.answers(examples.ADDED_CELL) | documented(*WRITING_PROBLEMS),
)
def take_back(context: Context, writing: Write, slide_id: UUID, added_cell_id: UUID) -> Response:
    """It counts no longer; the timeline keeps that it was there, and who added it."""
    context.require_review()

    def act(connection: Connection, who: Principal) -> Done:
        existing_slide(connection, slide_id)
        row = find_added(added_cells(connection, slide_id), added_cell_id)
        if row is None:
            raise not_found("added cell", added_cell_id)
        try:
            back = take_back_cell(connection, who, row)
        except NotTheReaderError as error:
            raise not_the_reader(error) from error
        except PermanentError as error:
            raise _conflict(error.reason, str(error)) from error
        return Done(
            AddedCellView.model_validate(row), _event("take-back-cell", back, row.label or "")
        )

    return writing.write(act)


def _box(connection: Connection, field: FieldRow, body: AddCellBody) -> Box:
    """Return the box around the middle of a cell.

    Raises:
        ProblemError: 409: beyond the field, cut by its border, or where a cell is known.
    """
    if body.x >= field.width or body.y >= field.height:
        raise _conflict(
            "outside-the-field",
            f"The field is {field.width} by {field.height} pixels: the middle lies outside.",
        )
    half = max(1, round(WHITE_CELL_UM / field.um_per_px / 2))
    box = Box(body.x - half, body.y - half, body.x + half, body.y + half)
    if box.is_cut(field.width, field.height):
        raise _conflict(
            "cut-by-border", "The field's border cuts this cell: such cells are not counted."
        )
    known = [cell.box for cell in field_cells(connection, field.frame_id)]
    known += [
        row.box for row in added_cells(connection, field.slide_id) if row.frame_id == field.frame_id
    ]
    if any(_holds(other, body) for other in known):
        raise _conflict("found-already", "A cell is known here already: name that one.")
    return box


def _holds(box: Box, body: AddCellBody) -> bool:
    return box.left <= body.x < box.right and box.top <= body.y < box.bottom


def _conflict(reason: str, words: str) -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, reason, words)


def _event(action: str, row: AddedCellRow, label: str) -> Event:
    return Event(action, "added-cell", row.added_cell_id, label, row.site, row.slide_id)
