"""Break-glass: somebody's clinical roles at another site, for an hour, with a reason."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from hemaline_cloud.database.schema import Grant, Person
from hemaline_shared.ids import new_id

LIFETIME = timedelta(hours=1)


class BrokenGlass(NamedTuple):
    """One use of it, for whoever looks after the rights."""

    name: str
    full_name: str
    role: str
    site: str
    reason: str
    given_at: datetime
    until: datetime


def break_glass(
    connection: Connection, person_id: UUID, roles: frozenset[str], site: str, reason: str
) -> None:
    """Let somebody have these roles at a site for an hour."""
    until = func.now() + LIFETIME
    rows = [
        {
            "grant_id": new_id(),
            "person_id": person_id,
            "role": role,
            "at_site": site,
            "source": "break-glass",
            "reason": reason,
            "given_by": str(person_id),
        }
        for role in sorted(roles)
    ]
    connection.execute(insert(Grant).values([row | {"until": until} for row in rows]))


def list_broken_glass(connection: Connection, days: int) -> list[BrokenGlass]:
    """Return each use in the last days, the newest first."""
    columns = (
        Person.name,
        Person.full_name,
        Grant.role,
        Grant.at_site,
        Grant.reason,
        Grant.given_at,
        Grant.until,
    )
    wanted = (
        select(*columns)
        .join(Person)
        .where(Grant.source == "break-glass", Grant.given_at > func.now() - timedelta(days=days))
        .order_by(Grant.given_at.desc())
    )
    rows: Iterable[Any] = connection.execute(wanted)  # a check holds that none is null
    return [BrokenGlass(*row) for row in rows]
