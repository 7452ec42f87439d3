"""`/sites/{site}/reference-cells`: how people of a site name cells, for comparison."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import TypeAdapter
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import ApiContext, Context
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
from hemaline_cloud.api.rendering import render
from hemaline_cloud.api.review_models import ReferenceCellView
from hemaline_cloud.api.views import API, cell_image
from hemaline_cloud.cell_classes import CELL_CLASSES, CellClass, cell_class
from hemaline_cloud.database.reading.reference_cells import (
    ReferenceCell,
    count_references,
    reference_cells,
)

router = APIRouter()

Site = Annotated[str, Path(max_length=63, pattern=STORABLE)]
_KEY = TypeAdapter(UUID)
_ON_A_PAGE = 60
_COUNTED = 100


@router.get(
    f"{API}/sites/{{site}}/reference-cells",
    tags=["review"],
    summary="List cells of a class as people of a site named and signed them, the newest first",
    responses=examples.pages(examples.REFERENCE_CELL)
    | documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def references(
    context: Context,
    site: Site,
    label: Annotated[CellClass, Query(description="Of this class.")] = "blast",
    limit: Limit = 12,
    cursor: Cursor = None,
) -> Page[ReferenceCellView]:
    """By people's labels alone, whatever a model said; a name changed since is left out."""
    with _of_site(context, site) as connection:
        return _page(context, connection, site, label, limit, cursor)


@router.get("/sites/{site}/references", include_in_schema=False)
def references_page(
    context: Context,
    request: Request,
    site: Site,
    label: CellClass = "blast",
    cursor: Cursor = None,
) -> Response:
    """The same as a gallery, a tab for each class."""
    with _of_site(context, site) as connection:
        values = {
            "site": site,
            "label": label,
            "page": _page(context, connection, site, label, _ON_A_PAGE, cursor),
            "counts": count_references(connection, site, CELL_CLASSES, _COUNTED),
            "many": _COUNTED,
            "first": cursor is None,
        }
    return render(request, "references.html", values)


@contextmanager
def _of_site(context: ApiContext, site: str) -> Iterator[Connection]:
    """Read, as somebody who has a role at a site; to others it is not there."""
    if not (context.authentication and context.authentication.roles_at(site)):
        raise not_found("site", site)
    with context.reading() as connection:
        yield connection


def _page(
    context: ApiContext,
    connection: Connection,
    site: str,
    label: CellClass,
    limit: int,
    cursor: str | None,
) -> Page[ReferenceCellView]:
    after = decode_cursor(_KEY, cursor)
    rows = reference_cells(connection, site, label, limit=limit + 1, after=after)
    context.audit_read(
        "reference-cells", shown=list(dict.fromkeys(row.slide_id for row in rows[:limit]))
    )
    return page_of(rows, limit, _view, lambda row: encode_cursor(_KEY, row.label_id))


def _view(row: ReferenceCell) -> ReferenceCellView:
    label = cell_class(row.label)
    assert label
    return ReferenceCellView(
        cell_id=row.cell_id,
        label=label,
        by_name=row.by_name,
        at=row.at,
        image=cell_image(row.cell_id),
    )
