"""Which bundles are known, and how the rows of their answers are to be read."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, or_, select

from hemaline_cloud.database.answers import AnswerLayout
from hemaline_cloud.database.schema import Bundle


class KnownBundle(NamedTuple):
    """A bundle that was appointed or served, and since when it is known."""

    sha256: str
    bundle_id: str
    trained: bool
    first_used_at: datetime


def known_bundles(connection: Connection) -> list[KnownBundle]:
    """Return every bundle, newest first."""
    query = _known().order_by(Bundle.first_used_at.desc(), Bundle.sha256)
    return [KnownBundle(*row) for row in connection.execute(query)]


def find_bundles(connection: Connection, name: str) -> list[KnownBundle]:
    """Return the bundles with this id, or whose hash begins so."""
    begins = Bundle.sha256.startswith(name.lower(), autoescape=True)
    query = _known().where(or_(Bundle.bundle_id == name, begins)).order_by(Bundle.sha256)
    return [KnownBundle(*row) for row in connection.execute(query)]


def _known() -> Select[*tuple[Any, ...]]:
    return select(*(getattr(Bundle, name) for name in KnownBundle._fields))


def bundle_number(connection: Connection, sha256: str) -> int:
    """Return what names a known bundle in rows of which there are many."""
    return connection.scalars(select(Bundle.number).where(Bundle.sha256 == sha256)).one()


def layouts_of(
    connection: Connection, bundles: Collection[int], view: str
) -> dict[int, AnswerLayout]:
    """Return how the answers of some bundles are laid out, by the bundles' numbers.

    Args:
        connection: In a transaction.
        bundles: Their numbers.
        view: What was looked at: a `cell` or a `field`.
    """
    if not bundles:
        return {}
    # Of the manifest only what a layout needs: the rest may be long.
    parts = ("tasks", "networks", "first_look")
    query = select(Bundle.number, *(Bundle.manifest[part] for part in parts))
    rows = connection.execute(query.where(Bundle.number.in_(bundles))).all()
    return {
        number: AnswerLayout.of(
            {"tasks": tasks or [], "networks": networks or [], "first_look": first_look}, view
        )
        for number, tasks, networks, first_look in rows
    }
