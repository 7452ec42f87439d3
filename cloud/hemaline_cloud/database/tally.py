"""Counts what a slide's result follows from: labels of cells, fields, sums of answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Subquery,
    Uuid,
    and_,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from hemaline_cloud.database.answers import AnswerLayout
from hemaline_cloud.database.bundles import layouts_of
from hemaline_cloud.database.predictions import PREDICTED
from hemaline_cloud.database.revision_inputs import FrameInput, RevisionInputs
from hemaline_cloud.database.schema import (
    Bundle,
    Cell,
    CellPredictions,
    FieldOfView,
    FieldPrediction,
    Frame,
)

_Query: TypeAlias = Select[*tuple[Any, ...]]
_Answer: TypeAlias = tuple[AnswerLayout, bytes]


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


def read_inputs(connection: Connection, slide_id: UUID) -> RevisionInputs:
    """Return a slide's frames with a result as they are now, and which of their cells count."""
    cells = aggregate_order_by(Cell.excluded, Cell.index)
    query = (
        select(
            Frame.frame_id,
            Frame.judged_by,
            func.array_agg(cells).filter(Cell.cell_id.is_not(None)).label("excluded"),
        )
        .outerjoin(Cell, Cell.frame_id == Frame.frame_id)
        .where(Frame.slide_id == slide_id, Frame.state == "result")
        .group_by(Frame.frame_id)
        .order_by(Frame.frame_id)
    )
    return RevisionInputs(
        tuple(
            FrameInput(frame_id, bundle, tuple(excluded or ()))
            for frame_id, bundle, excluded in connection.execute(query)
            if bundle is not None
        )
    )


def tally(connection: Connection, inputs: RevisionInputs, tasks: AveragedTasks) -> SlideTally:
    """Count cells and fields by what each frame's bundle said; the same inputs, the same counts."""
    rows = _InputRows.of(inputs)
    return SlideTally(
        _cells(connection, rows),
        _fields(connection, rows),
        _sums(_cell_answers(connection, rows, inputs), tasks.of_cells) if tasks.of_cells else [],
        _sums(_field_answers(connection, rows), tasks.of_fields) if tasks.of_fields else [],
    )


@dataclass(frozen=True, slots=True)
class _InputRows:
    """A revision's inputs as rows that a query joins: frames, and cells that do not count."""

    frames: Subquery
    out: Subquery

    @classmethod
    def of(cls, inputs: RevisionInputs) -> "_InputRows":
        frames = [(frame.frame_id, frame.bundle) for frame in inputs.frames]
        out = [
            (frame.frame_id, index, why)
            for frame in inputs.frames
            for index, why in enumerate(frame.excluded)
            if why
        ]
        return cls(
            _rows("used", {"frame_id": Uuid(), "bundle": Integer()}, frames),
            _rows("out", {"frame_id": Uuid(), "index": Integer(), "excluded": String()}, out),
        )

    def cells(self, *columns: ColumnElement[Any] | InstrumentedAttribute[Any]) -> _Query:
        """Return columns of what was said of each cell by its frame's bundle."""
        used, out, said = self.frames.c, self.out.c, PREDICTED.c
        return (
            select(*columns)
            .select_from(self.frames)
            .join(PREDICTED, and_(said.frame_id == used.frame_id, said.bundle == used.bundle))
            .outerjoin(self.out, and_(out.frame_id == said.frame_id, out.index == said.index))
        )

    def cell_answers(self) -> _Query:
        """Return the answers about each field's cells."""
        used, said = self.frames.c, CellPredictions
        return (
            select(said.frame_id, said.bundle, said.answers)
            .join(self.frames, and_(used.frame_id == said.frame_id, used.bundle == said.bundle))
            .where(said.answers.is_not(None))
        )

    def field_answers(self) -> _Query:
        """Return the answers about the fields themselves."""
        used = self.frames.c
        return select(FieldPrediction.bundle, FieldPrediction.probabilities).join(
            self.frames,
            and_(used.frame_id == FieldPrediction.frame_id, used.bundle == FieldPrediction.bundle),
        )


def _rows(
    name: str, types: Mapping[str, TypeEngine[Any]], rows: Sequence[tuple[Any, ...]]
) -> Subquery:
    """Return rows as one array parameter for each column: the statement is always the same."""
    values = zip(*rows, strict=True) if rows else [()] * len(types)
    arrays = [
        bindparam(f"{name}_{column_name}", list(of_column), type_=ARRAY(kind))
        for (column_name, kind), of_column in zip(types.items(), values, strict=True)
    ]
    columns = [column(column_name, kind) for column_name, kind in types.items()]
    return select(func.unnest(*arrays).table_valued(*columns).render_derived()).subquery(name)


def _fields(connection: Connection, rows: _InputRows) -> list[FieldCount]:
    made_by = (FieldOfView.pixel_pipeline, FieldOfView.finder, Frame.edge_version)
    query = (
        select(*made_by, func.count())
        .join(Frame, Frame.frame_id == FieldOfView.frame_id)
        .join(rows.frames, rows.frames.c.frame_id == FieldOfView.frame_id)
        .group_by(*made_by)
        .order_by(*made_by)
    )
    return [FieldCount(*row) for row in connection.execute(query)]


def _cells(connection: Connection, rows: _InputRows) -> list[CellCount]:
    said = (
        Bundle.bundle_id,
        Bundle.sha256,
        Bundle.trained,
        PREDICTED.c.label,
        rows.out.c.excluded,
    )
    query = (
        rows.cells(*said, func.count().label("cells"))
        .join(Bundle, Bundle.number == PREDICTED.c.bundle)
        .group_by(*said)
        .order_by(*said)
    )
    return [
        CellCount(row.bundle_id, row.sha256, row.trained, row.label, row.cells, row.excluded)
        for row in connection.execute(query)
    ]


def _cell_answers(
    connection: Connection, rows: _InputRows, inputs: RevisionInputs
) -> list[_Answer]:
    """Return what was said of the cells that count."""
    said = connection.execute(rows.cell_answers()).all()
    layouts = layouts_of(connection, {row.bundle for row in said}, "cell")
    excluded = {frame.frame_id: frame.excluded for frame in inputs.frames}
    return [
        (layouts[row.bundle], answer)
        for row in said
        for answer, why in zip(
            layouts[row.bundle].split(row.answers), excluded[row.frame_id], strict=True
        )
        if why is None
    ]


def _field_answers(connection: Connection, rows: _InputRows) -> list[_Answer]:
    said = connection.execute(rows.field_answers()).all()
    layouts = layouts_of(connection, {row.bundle for row in said}, "field")
    return [(layouts[row.bundle], row.probabilities) for row in said]


def _sums(said: Sequence[_Answer], tasks: Sequence[str]) -> list[AnswerSum]:
    sums = []
    for task in tasks:
        averages: dict[str, list[Decimal]] = {}
        for layout, answer in said:
            for label, share in layout.averages(answer, task).items():
                averages.setdefault(label, []).append(Decimal(str(share)))
        sums += [
            AnswerSum(task, label, len(shares), *_moments(shares))
            for label, shares in sorted(averages.items())
        ]
    return sums


def _moments(shares: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    return sum(shares, Decimal()), sum((share * share for share in shares), Decimal())
