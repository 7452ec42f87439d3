"""Counts what a slide's result follows from: labels of cells, fields, sums of answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Subquery, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute

from hemaline_cloud.database.bundles import layouts_of
from hemaline_cloud.database.schema import (
    Bundle,
    Cell,
    CellPrediction,
    FieldOfView,
    FieldPrediction,
    Frame,
)


@dataclass(frozen=True, slots=True)
class CellCount:
    """So many cells of a slide got this label from this bundle.

    `excluded` is why they do not count, or None where they do.
    """

    bundle_id: str
    bundle_sha256: str
    trained: bool
    label: str
    cells: int
    excluded: str | None = None


@dataclass(frozen=True, slots=True)
class FieldCount:
    """So many fields of a slide were made by the same software."""

    pixel_pipeline: str
    finder: str
    edge_version: str
    fields: int


@dataclass(frozen=True, slots=True)
class AnswerSum:
    """The averages' probabilities of one label of a task, summed over a slide's cells or fields.

    Exact decimals, so that the order of the rows changes no digit of a result.
    """

    task: str
    label: str
    answers: int
    total: Decimal
    squares: Decimal


@dataclass(frozen=True, slots=True)
class AveragedTasks:
    """The tasks that a slide's result averages over its cells, and over its fields."""

    of_cells: tuple[str, ...] = ()
    of_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlideTally:
    """All that a slide's result follows from: its fields with a result, each cell once."""

    cells: Sequence[CellCount]
    fields: Sequence[FieldCount]
    cell_answers: Sequence[AnswerSum] = ()
    field_answers: Sequence[AnswerSum] = ()


def tally(connection: Connection, slide_id: UUID, tasks: AveragedTasks) -> SlideTally:
    """Count a slide's cells and fields by what the newest bundle said of each."""
    return SlideTally(
        _cells(connection, slide_id),
        _fields(connection, slide_id),
        _sums(connection, "cell", _answers_of_cells(slide_id), tasks.of_cells),
        _sums(connection, "field", _answers_of_fields(slide_id), tasks.of_fields),
    )


def _fields(connection: Connection, slide_id: UUID) -> list[FieldCount]:
    made_by = (FieldOfView.pixel_pipeline, FieldOfView.finder, Frame.edge_version)
    query = (
        select(*made_by, func.count())
        .join(Frame, Frame.frame_id == FieldOfView.frame_id)
        .where(Frame.slide_id == slide_id, Frame.state == "result")
        .group_by(*made_by)
        .order_by(*made_by)
    )
    return [FieldCount(*row) for row in connection.execute(query)]


def _cells(connection: Connection, slide_id: UUID) -> list[CellCount]:
    said = (
        Bundle.bundle_id,
        Bundle.sha256,
        Bundle.trained,
        CellPrediction.label,
        Cell.excluded,
    )
    newest = _newest_of_cells(slide_id, *said).subquery()
    query = select(newest, func.count().label("cells")).group_by(*newest.c).order_by(*newest.c)
    return [
        CellCount(row.bundle_id, row.sha256, row.trained, row.label, row.cells, row.excluded)
        for row in connection.execute(query)
    ]


def _newest_of_cells(
    slide_id: UUID, *columns: InstrumentedAttribute[Any]
) -> Select[*tuple[Any, ...]]:
    """Return columns of what the newest bundle said of each cell, once for each cell."""
    return (
        select(*columns)
        .select_from(CellPrediction)
        .join(Bundle, Bundle.number == CellPrediction.bundle)
        .join(Cell, Cell.cell_id == CellPrediction.cell_id)
        .join(Frame, Frame.frame_id == Cell.frame_id)
        .where(Frame.slide_id == slide_id, Frame.state == "result")
        .ext(distinct_on(Cell.cell_id))
        .order_by(Cell.cell_id, Bundle.first_used_at.desc(), Bundle.sha256)
    )


def _answers_of_cells(slide_id: UUID) -> Subquery:
    said = _newest_of_cells(slide_id, CellPrediction.bundle, CellPrediction.probabilities)
    return said.where(Cell.excluded.is_(None)).subquery()


def _answers_of_fields(slide_id: UUID) -> Subquery:
    return (
        select(FieldPrediction.bundle, FieldPrediction.probabilities)
        .join(Bundle, Bundle.number == FieldPrediction.bundle)
        .join(Frame, Frame.frame_id == FieldPrediction.frame_id)
        .where(Frame.slide_id == slide_id, Frame.state == "result")
        .ext(distinct_on(Frame.frame_id))
        .order_by(Frame.frame_id, Bundle.first_used_at.desc(), Bundle.sha256)
        .subquery()
    )


def _sums(
    connection: Connection, view: str, newest: Subquery, tasks: Sequence[str]
) -> list[AnswerSum]:
    if not tasks:
        return []
    said = connection.execute(select(newest).where(newest.c.probabilities.is_not(None))).all()
    layouts = layouts_of(connection, {row.bundle for row in said}, view)
    sums = []
    for task in tasks:
        averages: dict[str, list[Decimal]] = {}
        for row in said:
            for label, share in layouts[row.bundle].averages(row.probabilities, task).items():
                averages.setdefault(label, []).append(Decimal(str(share)))
        sums += [
            AnswerSum(task, label, len(shares), *_moments(shares))
            for label, shares in sorted(averages.items())
        ]
    return sums


def _moments(shares: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    return sum(shares, Decimal()), sum((share * share for share in shares), Decimal())
