"""Whether the machine's answers are hidden from whoever asks: PostgreSQL says it (migration 0070).

While they are, `cell_predictions` and `field_predictions` have no row for that person, and
`hemaline_cloud.database.reading.slides` leaves out what stands on slides and results.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Connection, String, func, select, text

_SHOW = text("select set_config('hemaline.machine_shown', :slide, true)")


class NamedCells(NamedTuple):
    """How many cells of a slide whoever asks has named, and how many of its cells count."""

    named: int
    counted: int


def hiding_sites(connection: Connection) -> tuple[str, ...]:
    """Return the sites at which the machine's answers may be hidden from whoever asks."""
    found = connection.scalar(select(func.machine_hiding_sites(type_=ARRAY(String()))))
    return tuple(sorted(found or ()))


def named_cells(connection: Connection, slide_id: UUID) -> NamedCells:
    """Return how far whoever asks has named a slide's cells; what they took back counts, too."""
    asked = select(
        func.cells_named_by_principal(slide_id, type_=BigInteger),
        func.counted_cells(slide_id, type_=BigInteger),
    )
    return NamedCells(*connection.execute(asked).one())


@contextmanager
def machine_shown(connection: Connection, slide_id: UUID) -> Iterator[None]:
    """Read a slide with the machine's answers, for what is written and not shown.

    An exception ends it with the transaction.
    """
    connection.execute(_SHOW, {"slide": str(slide_id)})
    yield
    connection.execute(_SHOW, {"slide": ""})
