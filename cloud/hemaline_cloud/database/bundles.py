"""Which bundles made results, and how the rows of their answers are to be read."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from hemaline_cloud.database.answers import AnswerLayout
from hemaline_cloud.database.schema import Bundle


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
    query = select(Bundle.number, Bundle.manifest["tasks"], Bundle.manifest["networks"])
    return {
        number: AnswerLayout.of({"tasks": tasks or [], "networks": networks or []}, view)
        for number, tasks, networks in connection.execute(query.where(Bundle.number.in_(bundles)))
    }
