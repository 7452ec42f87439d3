"""White cells with what the slide's bundle said of each, the most doubtful first."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Row,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONPATH

from hemaline_cloud.database.predictions import PREDICTED, Said, said_of_cells
from hemaline_cloud.database.reading.fields import USABLE, StoredObject
from hemaline_cloud.database.schema import (
    Bundle,
    Cell,
    FieldOfView,
    Frame,
    Slide,
)
from hemaline_cloud.perhaps import Perhaps, perhaps
from hemaline_shared.pixels.types import Box


class CellKey(NamedTuple):
    """A cell's place in its slide's gallery."""

    certainty: float
    sequence: int
    place: int
    cell_id: UUID


@dataclass(frozen=True, slots=True)
class HeatMapRow:
    """A cell's coarse heat map: a byte a square, row by row."""

    values: bytes
    width: int


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell. `label` is None until its field has a result.

    Attributes:
        task: The task that named the cell.
        certainty: The probability, less where the networks disagree; 2 while it waits for them.
        heat_map: Columns and rows of its heat map.
        excluded: Why it does not count.
        same_as: The cell that counts for it, where it lies in several fields.
    """

    cell_id: UUID
    frame_id: UUID
    slide_id: UUID
    sequence: int
    index: int
    box: Box
    confidence: float
    label: str | None
    probability: float | None
    probabilities: dict[str, Any] | None
    disagreement: float | None
    task: str
    certainty: float
    heat_map: tuple[int, int] | None
    excluded: str | None = None
    same_as: UUID | None = None

    @property
    def key(self) -> CellKey:
        """Where the next page starts after this cell."""
        return CellKey(self.certainty, self.sequence, self.index, self.cell_id)

    @property
    def likeliest(self) -> str | None:
        """The class with the highest average, also where it is not enough to say so."""
        average = (self.probabilities or {}).get(self.task, {}).get("average")
        return max(average, key=average.__getitem__) if average else None

    @property
    def perhaps(self) -> Perhaps | None:
        """What it more likely is than not, where the label does not say it; counted nowhere."""
        return perhaps(self.label, self.task, self.probabilities)


_NAMING_TASK = func.jsonb_path_query_first(
    Bundle.manifest, literal('$.tasks[*] ? (@.view == "cell").name', JSONPATH)
).op("#>>", return_type=String())(literal_column("'{}'"))
_SAID = and_(
    PREDICTED.c.frame_id == Cell.frame_id,
    PREDICTED.c.index == Cell.index,
    PREDICTED.c.bundle == Frame.judged_by,
)
"""What the bundle said of a cell whose answers count: the same choice as the result makes."""

_WAITING = 2.0
"""Behind all certainties: what the model has not seen yet is not doubtful."""
_CERTAINTY: ColumnElement[float] = case(
    (PREDICTED.c.frame_id.is_(None), _WAITING),
    else_=func.coalesce(
        cast(PREDICTED.c.probability, Double)
        * (1 - func.coalesce(cast(PREDICTED.c.disagreement, Double), 0.0)),
        0.0,
    ),
)
_NOTHING = Said(None, None, None)
_GALLERY = (_CERTAINTY, Frame.sequence, Cell.index, Cell.cell_id)


def list_cells(
    connection: Connection,
    slide_id: UUID,
    *,
    limit: int,
    label: str | None = None,
    after: CellKey | None = None,
) -> list[CellRow]:
    """Return at most `limit` cells of a slide that follow `after`.

    The least certain come first; networks that disagree make a cell less certain. Where no cell
    has a probability (an untrained bundle), the order is that of capture.
    """
    query = _cells().where(Frame.slide_id == slide_id, USABLE)
    if label is not None:
        query = query.where(PREDICTED.c.label == label)
    if after:
        query = query.where(tuple_(*_GALLERY) > after)
    return _read(connection, query.order_by(*_GALLERY).limit(limit))


def all_cells(connection: Connection, slide_id: UUID) -> list[CellRow]:
    """Return all cells of a slide, in the order of `list_cells`."""
    query = _cells().where(Frame.slide_id == slide_id, USABLE)
    return _read(connection, query.order_by(*_GALLERY))


def cells_after(
    cells: Sequence[CellRow], *, limit: int, label: str | None, after: CellKey | None
) -> list[CellRow]:
    """Return of all cells of a slide what `list_cells` would return."""
    asked = (cell for cell in cells if label is None or cell.label == label)
    return list(islice((cell for cell in asked if after is None or cell.key > after), limit))


def field_cells(connection: Connection, frame_id: UUID) -> list[CellRow]:
    """Return all cells of one field, at most `MAX_CELLS`, in the finder's order."""
    return _read(connection, _cells().where(Cell.frame_id == frame_id).order_by(Cell.index))


def get_cell(connection: Connection, cell_id: UUID) -> CellRow | None:
    """Return one cell, or None."""
    found = _read(connection, _cells().where(Cell.cell_id == cell_id))
    return found[0] if found else None


def counted_labels(connection: Connection, cell_ids: Sequence[UUID]) -> dict[UUID, str | None]:
    """Return what the model calls those of the cells that count; None: it has not said yet."""
    query = (
        select(Cell.cell_id, PREDICTED.c.label)
        .join(Frame, Frame.frame_id == Cell.frame_id)
        .outerjoin(PREDICTED, _SAID)
        .where(Cell.cell_id.in_(cell_ids), Cell.excluded.is_(None))
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def cell_images(connection: Connection, cell_id: UUID) -> tuple[StoredObject, int] | None:
    """Return where a cell's field lies, and the place of the cell's crop in it."""
    query = (
        select(
            FieldOfView.object_key,
            FieldOfView.object_size,
            FieldOfView.object_sha256,
            Cell.index,
        )
        .join(Cell, Cell.frame_id == FieldOfView.frame_id)
        .where(Cell.cell_id == cell_id)
    )
    row = connection.execute(query).first()
    return (StoredObject(row[0], row[1], row[2]), row[3]) if row else None


def heat_map(connection: Connection, cell_id: UUID) -> HeatMapRow | None:
    """Return a cell's heat map, or None where it has none."""
    query = select(Cell.frame_id, Cell.index).where(Cell.cell_id == cell_id)
    cell = connection.execute(query).one_or_none()
    if cell is None:
        return None
    frame_id, index = cell
    said = said_of_cells(connection, [frame_id]).get(frame_id)
    if said is None or not (heat := said[index].heat):
        return None
    return HeatMapRow(heat, said[index].heat_map_width or 0)


def preview_cells(
    connection: Connection, slide_ids: Sequence[UUID], *, cells: int
) -> dict[UUID, list[UUID]]:
    """Return the ids of a few cells of each slide, from its first fields."""
    first = (
        select(Frame.frame_id, Frame.sequence)
        .where(Frame.slide_id == Slide.slide_id, USABLE)
        .order_by(Frame.sequence)
        .limit(cells)
        .correlate(Slide)
        .subquery()
    )
    few = (
        select(Cell.cell_id, first.c.sequence, Cell.index.label("place"))
        .join(first, first.c.frame_id == Cell.frame_id)
        .order_by(first.c.sequence, Cell.index)
        .limit(cells)
        .lateral("few")
    )
    query = (
        select(Slide.slide_id, few.c.cell_id)
        .join(few, true())
        .where(Slide.slide_id.in_(slide_ids))
        .order_by(Slide.slide_id, few.c.sequence, few.c.place)
    )
    previews: dict[UUID, list[UUID]] = {slide_id: [] for slide_id in slide_ids}
    for slide_id, cell_id in connection.execute(query):
        previews[slide_id].append(cell_id)
    return previews


def _cells() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Cell.cell_id,
            Cell.frame_id,
            Frame.slide_id,
            Frame.sequence,
            Cell.index.label("place"),
            Cell.left,
            Cell.top,
            Cell.right,
            Cell.bottom,
            Cell.confidence,
            Cell.excluded,
            Cell.same_as,
            PREDICTED.c.label,
            PREDICTED.c.probability,
            PREDICTED.c.disagreement,
            case(
                (PREDICTED.c.bundle.is_(None), ""),
                else_=func.coalesce(_NAMING_TASK, "cell-class"),
            ).label("task"),
            _CERTAINTY.label("certainty"),
        )
        .select_from(Cell)
        .join(Frame, Frame.frame_id == Cell.frame_id)
        .outerjoin(PREDICTED, _SAID)
        .outerjoin(Bundle, Bundle.number == PREDICTED.c.bundle)
    )


def _read(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[CellRow]:
    rows = connection.execute(query).all()
    said = said_of_cells(connection, {row.frame_id for row in rows})
    return [
        _cell(row, _NOTHING if row.label is None else said[row.frame_id][row.place]) for row in rows
    ]


def _cell(row: Row[Any], said: Said) -> CellRow:
    return CellRow(
        cell_id=row.cell_id,
        frame_id=row.frame_id,
        slide_id=row.slide_id,
        sequence=row.sequence,
        index=row.place,
        box=Box(row.left, row.top, row.right, row.bottom),
        confidence=row.confidence,
        label=row.label,
        probability=row.probability,
        probabilities=said.answers,
        disagreement=row.disagreement,
        task=row.task,
        certainty=row.certainty,
        heat_map=_size(said),
        excluded=row.excluded,
        same_as=row.same_as,
    )


def _size(said: Said) -> tuple[int, int] | None:
    """Return columns and rows of a heat map."""
    if not said.heat or not said.heat_map_width:
        return None
    return said.heat_map_width, len(said.heat) // said.heat_map_width
