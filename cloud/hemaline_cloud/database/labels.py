"""What people call cells: added, never changed; the newest label of a cell holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, any_, bindparam, case, func, insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from hemaline_cloud.database.review import count_reported_change
from hemaline_cloud.database.schema import Cell, CellLabel, Frame, Slide
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.states import ReviewState
from hemaline_shared.ids import new_id


class LabelRow(NamedTuple):
    """One label that a person gave, or took back; see `CellLabel`."""

    label_id: UUID
    cell_id: UUID
    slide_id: UUID
    site: str
    reading: int
    version: int
    act_id: UUID
    label: str | None
    replaces: UUID | None
    undoes: UUID | None
    by: str
    by_name: str
    at: datetime


class PlacedCell(NamedTuple):
    """A cell and whose it is."""

    cell_id: UUID
    frame_id: UUID
    slide_id: UUID
    site: str


@dataclass(frozen=True, slots=True)
class NewLabel:
    """What a person calls a cell.

    Attributes:
        version: Of the cell's label as that person saw it; 0: none.
    """

    cell_id: UUID
    label: str
    version: int


class LabelledMeanwhileError(Exception):
    """The labels of some cells are not those that were seen; nothing was changed.

    Attributes:
        now: The newest row of each of these cells; None where there is none.
    """

    def __init__(self, now: Mapping[UUID, LabelRow | None]) -> None:
        super().__init__(f"{len(now)} cells were labelled meanwhile")
        self.now = now


class NothingToUndoError(Exception):
    """The newest act on the cell is not the asking person's, or took one back already."""


class NotTheReaderError(Exception):
    """The slide awaits its second reader, who alone labels its cells; nothing was changed.

    Attributes:
        reader_name: Of the second reader; None: nobody has begun.
    """

    def __init__(self, reader_name: str | None) -> None:
        super().__init__(f"the second reader is {reader_name}")
        self.reader_name = reader_name


_COLUMNS = tuple(getattr(CellLabel, name) for name in LabelRow._fields)
_UUIDS = ARRAY(Uuid())
_AWAITING = Slide.review == ReviewState.AWAITING_SECOND_READER.value
# What a second reader says is theirs alone while they read, and holds at no other time.
HOLDING = case((_AWAITING, Slide.readings_begun), else_=1)
_ROWS = (
    select(*_COLUMNS)
    .join(Slide, Slide.slide_id == CellLabel.slide_id)
    .where(CellLabel.reading == HOLDING)
)
_NEWEST = (
    _ROWS.ext(distinct_on(CellLabel.cell_id))
    .where(CellLabel.cell_id == any_(bindparam("cells", type_=_UUIDS)))
    .order_by(CellLabel.cell_id, CellLabel.version.desc())
)
_NEWEST_OF_SLIDES = (
    _ROWS.ext(distinct_on(CellLabel.slide_id, CellLabel.cell_id))
    .where(CellLabel.slide_id == any_(bindparam("slides", type_=_UUIDS)))
    .order_by(CellLabel.slide_id, CellLabel.cell_id, CellLabel.version.desc())
)


def newest_labels(connection: Connection, cell_ids: Sequence[UUID]) -> dict[UUID, LabelRow]:
    """Return the newest row of each of these cells that has one."""
    found = connection.execute(_NEWEST, {"cells": list(cell_ids)})
    return {row.cell_id: LabelRow(*row) for row in found}


def label_history(connection: Connection, cell_id: UUID) -> list[LabelRow]:
    """Return what people called a cell, the newest first."""
    query = _ROWS.where(CellLabel.cell_id == cell_id)
    return [LabelRow(*row) for row in connection.execute(query.order_by(CellLabel.version.desc()))]


def placed_cells(connection: Connection, cell_ids: Sequence[UUID]) -> list[PlacedCell]:
    """Return those of the cells that are there, by id, so that locks are taken in one order."""
    query = (
        select(Cell.cell_id, Cell.frame_id, Frame.slide_id, Frame.site)
        .join(Frame, Frame.frame_id == Cell.frame_id)
        .where(Cell.cell_id.in_(cell_ids))
        .order_by(Cell.cell_id)
    )
    return [PlacedCell(*row) for row in connection.execute(query)]


def add_labels(
    connection: Connection, who: Principal, cells: Sequence[PlacedCell], labels: Sequence[NewLabel]
) -> list[LabelRow]:
    """Label cells in one act.

    Args:
        connection: In a transaction.
        who: The person.
        cells: Those of `labels`.
        labels: One for each cell.

    Returns:
        The new rows, in the order of `labels`.

    Raises:
        NotTheReaderError: The slide awaits its second reader, and `who` is another.
        LabelledMeanwhileError: The version of one is not the newest; none is labelled.
    """
    readings = hold_slides(connection, who, [cell.slide_id for cell in cells])
    newest = _locked(connection, [label.cell_id for label in labels])
    stale = {
        label.cell_id: newest.get(label.cell_id)
        for label in labels
        if _version(newest.get(label.cell_id)) != label.version
    }
    if stale:
        raise LabelledMeanwhileError(stale)
    said = {label.cell_id: label.label for label in labels}
    return _append(connection, who, cells, readings, newest, said, undoes=None)


def undo_labels(
    connection: Connection, who: Principal, cell_id: UUID, version: int
) -> list[LabelRow]:
    """Take back the newest act on a cell, with all cells that it labelled: each is as before.

    Args:
        connection: In a transaction.
        who: The person whose act it is.
        cell_id: One of its cells.
        version: Of this cell's label, as that person saw it.

    Raises:
        NotTheReaderError: The slide awaits its second reader, and `who` is another.
        NothingToUndoError: It is not theirs, or took one back already.
        LabelledMeanwhileError: A cell of the act was labelled since; nothing is taken back.
    """
    readings = hold_slides(
        connection, who, [cell.slide_id for cell in placed_cells(connection, [cell_id])]
    )
    seen = newest_labels(connection, [cell_id]).get(cell_id)
    if seen is None:
        raise NothingToUndoError
    act = _act(connection, seen.act_id)
    newest = _locked(connection, [row.cell_id for row in act])
    mine = newest[cell_id]
    if mine.version != version or mine.label_id != seen.label_id:
        raise LabelledMeanwhileError({cell_id: mine})
    if mine.by != who.id or mine.undoes is not None:
        raise NothingToUndoError
    later = {
        row.cell_id: newest[row.cell_id]
        for row in act
        if newest[row.cell_id].label_id != row.label_id
    }
    if later:
        raise LabelledMeanwhileError(later)
    before = _labels_of(connection, [row.replaces for row in act if row.replaces])
    said = {row.cell_id: before.get(row.replaces) if row.replaces else None for row in act}
    cells = placed_cells(connection, list(said))
    return _append(connection, who, cells, readings, newest, said, undoes=mine.act_id)


def relabelled(connection: Connection, slide_ids: Sequence[UUID]) -> dict[UUID, list[LabelRow]]:
    """Return, for each slide, the cells that people call something, by their newest label."""
    found: dict[UUID, list[LabelRow]] = {}
    for row in connection.execute(_NEWEST_OF_SLIDES, {"slides": list(slide_ids)}):
        if row.label is not None:
            found.setdefault(row.slide_id, []).append(LabelRow(*row))
    return found


def labels_of_slide(connection: Connection, slide_id: UUID) -> dict[UUID, LabelRow]:
    """Return, by cell, what people call the cells of a slide."""
    rows = relabelled(connection, [slide_id]).get(slide_id, [])
    return {row.cell_id: row for row in rows}


def hold_slides(
    connection: Connection, who: Principal, slide_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Hold slides, so that no reading ends meanwhile; return the reading that goes on of each.

    Raises:
        NotTheReaderError: One awaits its second reader, and `who` is another.
    """
    slides = (
        select(
            Slide.slide_id,
            HOLDING.label("reading"),
            _AWAITING.label("awaiting"),
            Slide.second_reader,
            Slide.second_reader_name,
        )
        .where(Slide.slide_id.in_(set(slide_ids)))
        .order_by(Slide.slide_id)
        .with_for_update(key_share=True)
    )
    rows = connection.execute(slides).all()
    for row in rows:
        if row.awaiting and row.second_reader != who.id:
            raise NotTheReaderError(row.second_reader_name)
    return {row.slide_id: row.reading for row in rows}


def _locked(connection: Connection, cell_ids: Sequence[UUID]) -> dict[UUID, LabelRow]:
    """Return the newest rows of cells that nobody else labels until the transaction's end."""
    lock = select(Cell.cell_id).where(Cell.cell_id.in_(cell_ids)).order_by(Cell.cell_id)
    connection.execute(lock.with_for_update(key_share=True))
    return newest_labels(connection, cell_ids)


def _append(
    connection: Connection,
    who: Principal,
    cells: Sequence[PlacedCell],
    readings: Mapping[UUID, int],
    newest: dict[UUID, LabelRow],
    said: Mapping[UUID, str | None],
    *,
    undoes: UUID | None,
) -> list[LabelRow]:
    placed = {cell.cell_id: cell for cell in cells}
    act_id, now = new_id(), connection.scalar(select(func.now()))
    assert now
    rows = [
        LabelRow(
            label_id=new_id(),
            cell_id=cell_id,
            slide_id=placed[cell_id].slide_id,
            site=placed[cell_id].site,
            reading=readings[placed[cell_id].slide_id],
            version=_version(newest.get(cell_id)) + 1,
            act_id=act_id,
            label=label,
            replaces=newest[cell_id].label_id if cell_id in newest else None,
            undoes=undoes,
            by=who.id,
            by_name=who.name,
            at=now,
        )
        for cell_id, label in said.items()
    ]
    connection.execute(insert(CellLabel), [row._asdict() for row in rows])
    for slide_id in sorted({row.slide_id for row in rows}):
        count_reported_change(connection, slide_id)
    return rows


def _act(connection: Connection, act_id: UUID) -> list[LabelRow]:
    query = select(*_COLUMNS).where(CellLabel.act_id == act_id).order_by(CellLabel.cell_id)
    return [LabelRow(*row) for row in connection.execute(query)]


def _labels_of(connection: Connection, label_ids: Sequence[UUID]) -> dict[UUID, str | None]:
    query = select(CellLabel.label_id, CellLabel.label).where(CellLabel.label_id.in_(label_ids))
    return {row[0]: row[1] for row in connection.execute(query)}


def _version(row: LabelRow | None) -> int:
    return row.version if row else 0
