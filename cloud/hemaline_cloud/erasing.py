"""Deletes the objects of erased specimens: after the erasure's commit, and again at a next run.

Killed in between, the row that asks for it is there still; an object that is gone already is no
fault.
"""

import logging

from sqlalchemy import Engine

from hemaline_cloud.database.engine import of_principal, unit_of_work
from hemaline_cloud.database.erasures import deletions_done, deletions_due
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.principal import service
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_AT_ONCE = 500


def delete_erased_objects(engine: Engine, store: ObjectStore) -> int:
    """Delete what erasures have asked for; an object that another field needs stays.

    Returns:
        How many are done.

    Raises:
        TransientError: Database or store is away; what is left waits for the next run.
    """
    engine, done = of_principal(engine, service("erasing")), 0
    while True:
        with unit_of_work(engine) as connection:
            due = deletions_due(connection, _AT_ONCE)
        for key, is_needed in due:
            if not is_needed:
                store.delete(key)
        with unit_of_work(engine) as connection:
            deletions_done(connection, [key for key, _ in due])
        done += len(due)
        if len(due) < _AT_ONCE:
            return done


def finish_erasures(engine: Engine, store: ObjectStore) -> None:
    """As `delete_erased_objects`; what is away now is asked again at the next run."""
    try:
        delete_erased_objects(engine, store)
    except TransientError as error:
        logger.warning("objects of erased specimens wait to be deleted: %s", error)
