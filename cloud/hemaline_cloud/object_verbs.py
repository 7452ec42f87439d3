"""`hemaline-cloud verify` and `objects list | discard`: do rows and object store agree?

An object without a row is left by an ingest that was killed between storing and committing, or
that could not delete what nothing refers to any more. One that is younger than a day may be on its
way to its row yet.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from sqlalchemy import Engine

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.operators import operator_engine
from hemaline_cloud.database.references import (
    ListedObject,
    Orphans,
    Reference,
    find_orphans,
    referred_objects,
)
from hemaline_cloud.objects.keys import KEPT
from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from hemaline_shared.packing import sha256_hex

_Print = Callable[[str], None]
_YOUNG = timedelta(days=1)
_OBJECTS = UUID("5f0c1d52-6f0e-4b0e-9a55-3f1c0d7f8a04")


def list_objects(settings: IngestSettings, echo: _Print) -> None:
    """Print the objects that no row refers to, oldest first: a line each, parted by tabs."""
    with operator_engine(settings, statement_timeout_s=0) as engine:
        orphans = _orphans(engine, open_store(settings.objects))
    for one in orphans.objects:
        echo(f"{one.key}\t{one.size} bytes\t{one.put_at.isoformat(timespec='seconds')}")
    echo(_summary(orphans))


def verify(settings: IngestSettings, echo: _Print, *, hashes: bool) -> None:
    """Name each row whose object is missing, with `hashes` also changed, and each object of no row.

    An object of no row harms nothing: ingest may be about to commit its row, or a crash left it.

    Raises:
        PermanentError: `objects-missing`, after all of them, when one is missing or changed.
    """
    store = open_store(settings.objects)
    looked_at = wrong = 0
    with (
        operator_engine(settings, statement_timeout_s=0) as engine,
        unit_of_work(engine) as connection,
    ):
        # Before the rows: what ingest stores meanwhile is not taken for an object of no row.
        listed = list(_objects(store))
        for reference in referred_objects(connection):
            looked_at += 1
            if problem := _problem(store, reference, hashes=hashes):
                wrong += 1
                echo(f"{reference.row_id}\t{problem}\t{reference.key}")
        orphans = find_orphans(connection, listed)
    for one in orphans.objects:
        echo(f"-\tno row\t{one.key}")
    echo(
        f"{looked_at} rows name an object: {wrong} of these are missing or changed. "
        f"{orphans.looked_at} objects are stored: {len(orphans.objects)} have no row."
    )
    if wrong:
        raise PermanentError(
            "objects-missing",
            f"{wrong} of {looked_at} objects are missing or changed: restore them from a backup.",
        )


def discard_objects(
    settings: IngestSettings, why: str, echo: _Print, *, dry_run: bool, most: bool
) -> None:
    """Delete the objects that no row refers to; the ledger keeps which, who and why.

    Args:
        settings: Where they lie.
        why: A sentence.
        echo: Takes a line.
        dry_run: Only say which they are.
        most: Go on where no row refers to most of the objects.

    Raises:
        PermanentError: `no-reason`; `not-its-store` where most are referred to by no row: then
            store and database hardly belong together.
    """
    if not why.strip():
        raise PermanentError("no-reason", "Say why with --why: the ledger keeps it.")
    store = open_store(settings.objects)
    with operator_engine(settings, statement_timeout_s=0) as engine:
        orphans = _orphans(engine, store)
        if 2 * len(orphans.objects) > orphans.looked_at and not most:
            raise PermanentError(
                "not-its-store",
                f"{_summary(orphans)} Do HEMALINE_OBJECTS and HEMALINE_DATABASE_URL belong "
                "together? If they do: --most.",
            )
        for one in orphans.objects:
            echo(f"{one.key}\t{one.size} bytes")
            if not dry_run:
                _discard(engine, store, one, why.strip())
    done = "would be deleted: --no-dry-run deletes them" if dry_run else "are deleted"
    echo(f"{len(orphans.objects)} objects {done}.")


def _orphans(engine: Engine, store: ObjectStore) -> Orphans:
    with unit_of_work(engine) as connection:
        return find_orphans(connection, _objects(store, datetime.now(UTC) - _YOUNG))


def _objects(store: ObjectStore, before: datetime | None = None) -> Iterator[ListedObject]:
    for folder in KEPT:
        for found in store.list_under(folder):
            if before is None or found.put_at < before:
                yield ListedObject(found.key, found.size, found.put_at)


def _discard(engine: Engine, store: ObjectStore, one: ListedObject, why: str) -> None:
    """Note it first: killed in between, the object is there still, and found again."""
    detail = f"{one.key}, {one.size} bytes; {why}"
    with unit_of_work(engine) as connection:
        event = Event("discard", "object", uuid5(_OBJECTS, one.key), detail)
        record_event(connection, operator(operator_name()), event)
    store.delete(one.key)


def _problem(store: ObjectStore, reference: Reference, *, hashes: bool) -> str | None:
    if not hashes:
        return None if store.exists(reference.key) else "missing"
    try:
        found = store.get(reference.key)
    except PermanentError:
        return "missing"
    return None if reference.sha256 in {None, sha256_hex(found)} else "changed"


def _summary(orphans: Orphans) -> str:
    size = sum(one.size for one in orphans.objects)
    return (
        f"No row refers to {len(orphans.objects)} of {orphans.looked_at} objects older than a day "
        f"({size:,} bytes)."
    )
