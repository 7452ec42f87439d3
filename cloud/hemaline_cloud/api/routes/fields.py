"""`/fields` and `/cells`: one of each."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.models import CellView, FieldDetail
from hemaline_cloud.api.problems import documented, not_found
from hemaline_cloud.api.views import API, cell_view, field_detail
from hemaline_cloud.database.labels import newest_labels
from hemaline_cloud.database.reading.cells import field_cells, get_cell
from hemaline_cloud.database.reading.fields import field_answers, get_field

router = APIRouter(prefix=API, tags=["fields and cells"])


@router.get(
    "/fields/{frame_id}",
    summary="Read one field with its cells",
    responses=examples.answers(examples.FIELD_DETAIL) | documented(HTTPStatus.NOT_FOUND),
)
def field(context: Context, frame_id: UUID) -> FieldDetail:
    """A rejected or quarantined frame has no field: see `/frames`."""
    with context.reading() as connection:
        row = get_field(connection, frame_id)
        if row is None:
            raise not_found("field", frame_id)
        cells, answers = field_cells(connection, frame_id), field_answers(connection, frame_id)
        labels = newest_labels(connection, [cell.cell_id for cell in cells])
        context.audit_read("field", frame_id, slide_id=row.slide_id)
    return field_detail(row, cells, answers, labels)


@router.get(
    "/cells/{cell_id}",
    summary="Read one cell",
    responses=examples.answers(examples.CELL) | documented(HTTPStatus.NOT_FOUND),
)
def cell(context: Context, cell_id: UUID) -> CellView:
    """With each network's probabilities, where a trained bundle looked at it."""
    with context.reading() as connection:
        row = get_cell(connection, cell_id)
        labels = newest_labels(connection, [cell_id])
        if row is None:
            raise not_found("cell", cell_id)
        context.audit_read("cell", cell_id, slide_id=row.slide_id)
    return cell_view(row, labels.get(cell_id))
