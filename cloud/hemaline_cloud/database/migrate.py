"""Bring a database to this version's schema, one migrator at a time."""

import logging
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_LOCK = 0x48454D41  # "HEMA": any number that all migrators agree on
_SERVER_WAIT_S = 30.0


def migrate(settings: MigrateSettings) -> None:
    """Apply the missing migrations, all or none; wait for a server that is still starting.

    Raises:
        TransientError: `database-unavailable` after half a minute of trying.
    """
    engine = make_engine(settings.database_url.get_secret_value(), statement_timeout_s=0)
    try:
        _wait_for_server(engine)
        with unit_of_work(engine) as connection:
            # Held to the end of the transaction: a second migrator then finds nothing to do.
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for the migrations in this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _wait_for_server(engine: Engine) -> None:
    give_up_at = time.monotonic() + _SERVER_WAIT_S
    while True:
        try:
            with unit_of_work(engine) as connection:
                connection.execute(text("select 1"))
        except TransientError as error:
            if time.monotonic() > give_up_at:
                raise
            logger.info("waiting for the database: %s", error)
            time.sleep(0.5)
        else:
            return
