"""Marks the cells that lie in several fields of a slide: of each, the first in capture counts."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database import counted_cells
from hemaline_cloud.database.counted_cells import LookedAtField
from hemaline_shared.pixels.repeats import Look, SeenField, same_cells

_REMEMBERED = 1024
"""Fields kept in memory, some 25 KB each: a slide's earlier ones are wanted with each new one."""

_Order: TypeAlias = tuple[int, UUID, int]
"""A cell's place in the order of capture: sequence and id of its field, place in it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    seen: SeenField
    cells: tuple[UUID, ...]
    orders: tuple[_Order, ...]


class Places:
    """Knows the looks of the fields that it met lately; the rest it reads from the database.

    What it writes follows from the slide's settled fields alone, so the order in which they are
    settled, by which worker and how often, changes nothing in the end.
    """

    def __init__(self) -> None:
        self._fields: OrderedDict[UUID, _Field] = OrderedDict()

    def mark_repeats(
        self, connection: Connection, slide_id: UUID, frame_ids: Sequence[UUID]
    ) -> None:
        """Match fields that were just settled with all of the slide, and mark what is the same.

        Args:
            connection: In the transaction that settles them and holds their slide.
            slide_id: Their slide.
            frame_ids: The fields.
        """
        known = self._of(connection, counted_cells.looked_at(connection, slide_id))
        pairs = [
            pair
            for frame_id in frame_ids
            if frame_id in known
            for pair in _same(known[frame_id], [one for f, one in known.items() if f != frame_id])
        ]
        if pairs:
            orders = {
                cell: order
                for field in known.values()
                for cell, order in zip(field.cells, field.orders, strict=True)
            }
            standing = counted_cells.copies(connection, slide_id)
            counting = grouped({**standing}, pairs, orders)
            changed = {cell: one for cell, one in counting.items() if standing.get(cell) != one}
            counted_cells.mark_copies(connection, changed)

    def _of(self, connection: Connection, frame_ids: Sequence[UUID]) -> dict[UUID, _Field]:
        missing = [frame_id for frame_id in frame_ids if frame_id not in self._fields]
        for field in counted_cells.load_fields(connection, missing):
            self._fields[field.frame_id] = _field(field)
        known = {one: self._fields[one] for one in frame_ids if one in self._fields}
        for frame_id in known:
            self._fields.move_to_end(frame_id)
        while len(self._fields) > _REMEMBERED:
            self._fields.popitem(last=False)
        return known


def grouped(
    standing: Mapping[UUID, UUID],
    pairs: Sequence[tuple[UUID, UUID]],
    orders: Mapping[UUID, _Order],
) -> dict[UUID, UUID]:
    """Return cell -> the one that counts, of all cells that have copies.

    Args:
        standing: The same as far as it was known.
        pairs: Cells that were found to be the same.
        orders: Each cell's place in the order of capture: the first of a group counts.
    """
    groups: dict[UUID, set[UUID]] = {}
    for one, two in (*standing.items(), *pairs):
        joined = groups.get(one, {one}) | groups.get(two, {two})
        for cell in joined:
            groups[cell] = joined
    return {cell: min(group, key=orders.__getitem__) for cell, group in groups.items()}


def _same(new: _Field, others: Sequence[_Field]) -> list[tuple[UUID, UUID]]:
    return [
        (new.cells[mine], others[at].cells[theirs])
        for mine, at, theirs in same_cells(new.seen, [other.seen for other in others])
    ]


def _field(field: LookedAtField) -> _Field:
    return _Field(
        SeenField(Look.unpack(field.look), field.size, [cell.box for cell in field.cells]),
        tuple(cell.cell_id for cell in field.cells),
        tuple((field.sequence, field.frame_id, cell.index) for cell in field.cells),
    )
