"""What people call cells, beside what the model calls them."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.labels import relabelled
from hemaline_cloud.database.reading.cells import counted_labels


class Move(NamedTuple):
    """A cell that a person labelled: from which class of the model's to which of theirs.

    `of_model` is None while its field has no result.
    """

    of_model: str | None
    of_person: str


def moves_of(connection: Connection, slide_ids: Sequence[UUID]) -> dict[UUID, list[Move]]:
    """Return the moves of each of these slides; a cell that does not count moves nothing."""
    people = relabelled(connection, slide_ids)
    cells = [row.cell_id for rows in people.values() for row in rows]
    counted = counted_labels(connection, cells) if cells else {}
    return {
        slide_id: [
            Move(counted[row.cell_id], row.label)
            for row in rows
            if row.label and row.cell_id in counted
        ]
        for slide_id, rows in people.items()
    }
