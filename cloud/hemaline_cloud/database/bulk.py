"""Many rows in one statement that is the same for any number of them."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Connection, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import Insert, insert

from hemaline_cloud.database.schema import Base


def insert_rows(
    connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]
) -> int:
    """Insert rows, leaving those that are there as they are; return how many were new.

    One round trip, one plan that the server keeps, one call of each statement trigger.

    Args:
        connection: In a transaction.
        table: Where to.
        rows: Each has the same columns.
    """
    if not rows:
        return 0
    names = tuple(rows[0])
    columns = {name: [row[name] for row in rows] for name in names}
    statement = rows_of(table, names).on_conflict_do_nothing()
    counted = {"preserve_rowcount": True}
    return connection.execute(statement, columns, execution_options=counted).rowcount


@cache
def rows_of(table: type[Base], names: tuple[str, ...]) -> Insert:
    """Return `insert … select … from unnest(…)`, with one array parameter for each column."""
    types = {name: table.__table__.c[name].type for name in names}
    arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]
    source = func.unnest(*arrays).table_valued(*(column(name, types[name]) for name in names))
    return insert(table).from_select(names, select(source.render_derived()))
