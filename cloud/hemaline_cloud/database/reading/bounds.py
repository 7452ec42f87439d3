"""What keeps a list's time the same, however many rows there are."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from hemaline_cloud.database.engine import sites_of_principal

MANY = 1000
"""Where counting stops: to count millions takes longer than to show a page of them."""

_FEW_SITES = 16


def written_out(value: str) -> BindParameter[str]:
    """Write a word of ours into the statement: the planner must see which partial index serves."""
    return bindparam(None, value, literal_execute=True)


def in_each_site(
    connection: Connection,
    page: Select[*tuple[Any, ...]],
    site: InstrumentedAttribute[str],
    *,
    besides: Sequence[str] = (),
) -> list[Select[*tuple[Any, ...]]]:
    """Return a page's query for each site of the principal, where these are few.

    A small site's rows are then not searched for among all others'; the policy holds regardless.

    Args:
        connection: In a transaction.
        page: What is asked of each.
        site: The column.
        besides: Sites that are left out.
    """
    sites = sites_of_principal(connection)
    if sites is None or not 0 < len(sites) <= _FEW_SITES:
        return [page.where(site.not_in(besides)) if besides else page]
    return [page.where(site == name) for name in sites if name not in besides]


def count_few(
    connection: Connection, rows: Select[*tuple[Any, ...]], site: InstrumentedAttribute[str]
) -> int:
    """Return how many rows there are that the principal sees, none counted beyond `MANY`."""
    parts = [one.limit(MANY) for one in in_each_site(connection, rows, site)]
    every = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return min(MANY, connection.scalar(select(func.count()).select_from(every)) or 0)
