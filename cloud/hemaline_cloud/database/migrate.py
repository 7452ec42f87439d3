"""Bring a database to this version's schema, one migrator at a time, beside running processes."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, event, text

from hemaline_cloud.database.audit_seals import count_on
from hemaline_cloud.database.checks import refuse_unusable
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import ALL_SITES, service
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 2.0
"""While a statement waits for its lock on a table, every reader that comes after it waits too."""

_LOCK = 0x48454D41  # "HEMA": any number that all migrators agree on
_SERVER_WAIT_S = 30.0
_BUSY_WAIT_S = 600.0
_POLL_S = 0.5


def migrate(settings: MigrateSettings) -> None:
    """Apply the missing migrations; each is kept once it is done, and may be begun again.

    No statement waits for a table's lock for more than two seconds: it gives up and is tried again.
    A server that is still starting is waited for.

    Raises:
        TransientError: `database-unavailable` after half a minute without a server, or after ten
            minutes in which another migrator or a busy table kept this one from its work;
            `database-forbids` at once.
    """
    engine = make_engine(
        settings.database_url.get_secret_value(),
        statement_timeout_s=0,
        lock_timeout_s=LOCK_TIMEOUT_S,
    )
    event.listen(engine, "connect", _see_every_site)
    try:
        _try_for(_SERVER_WAIT_S, "the database", lambda: refuse_unusable(engine))
        _try_for(_BUSY_WAIT_S, "its turn", lambda: _upgrade(engine))
    finally:
        engine.dispose()


def alembic_config(connection: Connection | None) -> Config:
    """Return Alembic's configuration for the migrations in this package.

    Args:
        connection: In no transaction, so that each migration has its own; None: statements are
            written, not run (`alembic upgrade --sql`).
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _see_every_site(connection: psycopg.Connection[object], _record: object) -> None:
    """Be a principal for the whole session: an owner is bound by policies, in batches as well."""
    connection.execute(
        "select set_config('hemaline.sites', %s, false),"
        " set_config('hemaline.principal', %s, false)",
        (ALL_SITES.value, service("migrate").id),
    )
    connection.commit()


def _upgrade(engine: Engine) -> None:
    autocommitting = engine.execution_options(isolation_level="AUTOCOMMIT")
    with unit_of_work(autocommitting) as lock, _only_migrator(lock):
        with engine.connect() as connection:
            command.upgrade(alembic_config(connection), "head")
        with unit_of_work(engine) as connection:
            count_on(connection)


@contextmanager
def _only_migrator(connection: Connection) -> Iterator[None]:
    """Hold the migrators' lock, on a connection that is in no transaction.

    It is tried, not waited for: an index that is built concurrently waits for every statement that
    is older, so for a waiting migrator too, and neither would ever end.
    """
    if not connection.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
        raise TransientError("database-unavailable", "another process is migrating the database")
    try:
        yield
    finally:
        connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def _try_for(seconds: float, what: str, attempt: Callable[[], None]) -> None:
    give_up_at = time.monotonic() + seconds
    told = ""
    while True:
        try:
            attempt()
        except TransientError as error:
            if error.reason == "database-forbids" or time.monotonic() > give_up_at:
                raise
            if str(error) != told:  # not the same line sixty times
                told = str(error)
                logger.info("waiting for %s: %s", what, error)
            time.sleep(_POLL_S)
        else:
            return
