"""`/cells/{id}/label` and `/slides/{id}/labels`: what people call cells."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_cell
from hemaline_cloud.api.problems import ProblemError, documented, not_found
from hemaline_cloud.api.review_models import (
    CellLabels,
    LabelBody,
    LabelsBody,
    LabelsView,
    LabelView,
)
from hemaline_cloud.api.review_refusals import not_the_reader
from hemaline_cloud.api.views import API, label_view
from hemaline_cloud.api.words import humanise
from hemaline_cloud.api.writing import VERSIONED_PROBLEMS, WRITING_PROBLEMS, Done, Write, etag
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.labels import (
    LabelledMeanwhileError,
    LabelRow,
    NewLabel,
    NothingToUndoError,
    NotTheReaderError,
    PlacedCell,
    add_labels,
    label_history,
    placed_cells,
    undo_labels,
)
from hemaline_cloud.principal import Principal

router = APIRouter(prefix=API, tags=["review"])


@router.get(
    "/cells/{cell_id}/label",
    summary="Read what people called a cell",
    response_model=CellLabels,
    responses=examples.answers(examples.CELL_LABELS) | documented(HTTPStatus.NOT_FOUND),
)
def label(context: Context, cell_id: UUID) -> Response:
    """Who called it what, and when. Its ETag is what a change names in If-Match."""
    with context.reading() as connection:
        cell = existing_cell(connection, cell_id)
        rows = label_history(connection, cell_id)
        context.audit_read("cell", cell_id, slide_id=cell.slide_id)
    current = label_view(rows[0]) if rows else _no_label(cell_id)
    body = CellLabels(current=current, history=[label_view(row) for row in rows])
    return JSONResponse(
        body.model_dump(mode="json"),
        headers={"ETag": etag(current.version), "Cache-Control": "no-store"},
    )


@router.put(
    "/cells/{cell_id}/label",
    summary="Label a cell",
    response_model=LabelView,
    responses=examples.answers(examples.LABEL) | documented(*VERSIONED_PROBLEMS),
)
def relabel(context: Context, writing: Write, cell_id: UUID, body: LabelBody) -> Response:
    """A person's label outranks every model's. Whoever labelled it first is named in a 412."""
    context.require_review()
    new = NewLabel(cell_id, body.label, writing.expected_version())

    def act(connection: Connection, who: Principal) -> Done:
        cell = existing_cell(connection, cell_id)
        (row,) = _told(lambda: add_labels(connection, who, [cell], [new]))
        return Done(label_view(row), _event("label", [row]), row.version)

    return writing.write(act)


@router.delete(
    "/cells/{cell_id}/label",
    summary="Take back your last act on a cell",
    response_model=LabelsView,
    responses=examples.answers(examples.LABELS) | documented(*VERSIONED_PROBLEMS),
)
def undo(context: Context, writing: Write, cell_id: UUID) -> Response:
    """All cells that were labelled in the same act are again what they were before it.

    One act and no more: what was taken back cannot be taken back again, and another person's act
    is theirs.
    """
    context.require_review()
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        existing_cell(connection, cell_id)
        rows = _told(lambda: undo_labels(connection, who, cell_id, version))
        (own,) = (row for row in rows if row.cell_id == cell_id)
        body = LabelsView(labels=[label_view(row) for row in rows])
        return Done(body, _event("undo", rows), own.version)

    return writing.write(act)


@router.post(
    "/slides/{slide_id}/labels",
    summary="Label many cells of a slide at once",
    response_model=LabelsView,
    responses=examples.answers(examples.LABELS)
    | documented(*WRITING_PROBLEMS, HTTPStatus.PRECONDITION_FAILED),
)
def label_many(context: Context, writing: Write, slide_id: UUID, body: LabelsBody) -> Response:
    """One act: all or none, and taken back by one undo. Each cell names the version it had."""
    context.require_review()
    new = [NewLabel(item.cell_id, item.label, item.version) for item in body.labels]

    def act(connection: Connection, who: Principal) -> Done:
        cells = _cells_of(connection, slide_id, [item.cell_id for item in new])
        rows = _told(lambda: add_labels(connection, who, cells, new))
        return Done(LabelsView(labels=[label_view(row) for row in rows]), _event("label", rows))

    return writing.write(act)


def _no_label(cell_id: UUID) -> LabelView:
    return LabelView(cell_id=cell_id, label=None, version=0, by_name=None, at=None, undone=False)


def _cells_of(connection: Connection, slide_id: UUID, cell_ids: Sequence[UUID]) -> list[PlacedCell]:
    if len(set(cell_ids)) < len(cell_ids):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "cell-named-twice", "Name each cell once."
        )
    found = placed_cells(connection, cell_ids)
    there = {cell.cell_id for cell in found if cell.slide_id == slide_id}
    for cell_id in cell_ids:
        if cell_id not in there:
            raise not_found("cell", f"{cell_id} in slide {slide_id}")
    return found


def _told(act: Callable[[], list[LabelRow]]) -> list[LabelRow]:
    """Say who was first, who reads the slide, or why there is nothing to undo."""
    try:
        return act()
    except LabelledMeanwhileError as error:
        raise ProblemError(
            HTTPStatus.PRECONDITION_FAILED,
            "labelled-meanwhile",
            " ".join(_first(row) for row in error.now.values()),
            errors=[_newest(cell_id, row) for cell_id, row in error.now.items()],
        ) from error
    except NotTheReaderError as error:
        raise not_the_reader(error) from error
    except NothingToUndoError as error:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "nothing-to-undo",
            "The last act on this cell is not yours, or took one back already.",
        ) from error


def _first(row: LabelRow | None) -> str:
    if row is None:
        return "No person has labelled this cell."
    what = f"called this cell {humanise(row.label)}" if row.label else "took a label back"
    return f"{row.by_name} {what} at {row.at:%H:%M} UTC."


def _newest(cell_id: UUID, row: LabelRow | None) -> dict[str, str]:
    told = {"where": str(cell_id), "fault": _first(row), "etag": etag(row.version if row else 0)}
    if row is not None:
        told |= {"label": row.label or "", "by_name": row.by_name, "at": row.at.isoformat()}
    return told


def _event(action: str, rows: Sequence[LabelRow]) -> Event:
    first = rows[0]
    said = ", ".join(f"{row.cell_id} {row.label or 'none'}" for row in rows)
    one = len(rows) == 1
    return Event(
        action,
        "cell" if one else "cells",
        first.cell_id if one else first.act_id,
        (first.label or "none") if one else f"{len(rows)} cells: {said}",
        first.site,
        first.slide_id,
    )
