"""`/slides/{id}/cells.csv`: a slide's white cells as a table, for people's own tools."""

import csv
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from io import StringIO
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from hemaline_cloud.api import examples
from hemaline_cloud.api.caching import NO_STORE
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.problems import documented
from hemaline_cloud.api.views import API
from hemaline_cloud.database.labels import LabelRow, labels_of_slide
from hemaline_cloud.database.reading.cells import CellRow, all_cells
from hemaline_shared.ids import accession

router = APIRouter(prefix=f"{API}/slides", tags=["slides"])

_CSV = "text/csv"
COLUMNS = (
    "cell_id",
    "field",
    "cell",
    "model",
    "probability",
    "perhaps",
    "perhaps_probability",
    "person",
    "counted",
    "not_counted_because",
)


@router.get(
    "/{slide_id}/cells.csv",
    summary="Read a slide's white cells as CSV",
    response_class=Response,
    responses=examples.sends(_CSV, ",".join(COLUMNS)) | documented(HTTPStatus.NOT_FOUND),
)
def cells_csv(context: Context, slide_id: UUID) -> Response:
    """A line a cell, in the order of capture. `perhaps` is counted nowhere."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        cells = all_cells(connection, slide_id)
        labels = labels_of_slide(connection, slide_id)
        context.audit_read("cells", slide_id, slide_id=slide_id)
    name = f"{accession(slide_id)}-cells.csv"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": NO_STORE,
    }
    return Response(_written(cells, labels), media_type=_CSV, headers=headers)


def _written(cells: Sequence[CellRow], labels: Mapping[UUID, LabelRow]) -> str:
    text = StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for cell in sorted(cells, key=lambda one: (one.sequence, one.index)):
        person = labels.get(cell.cell_id)
        perhaps = cell.perhaps
        table.writerow(
            (
                cell.cell_id,
                cell.sequence,
                cell.index + 1,
                cell.label,
                _rounded(cell.probability),
                perhaps.label if perhaps else None,
                _rounded(perhaps.probability if perhaps else None),
                person.label if person else None,
                "yes" if cell.excluded is None else "no",
                cell.excluded,
            )
        )
    return text.getvalue()


def _rounded(probability: float | None) -> str | None:
    return None if probability is None else f"{probability:.4f}"
