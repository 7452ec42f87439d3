"""Hears of new work by PostgreSQL's notifications, on a connection of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.work import CHANNEL
from hemaline_shared.errors import TransientError


class WorkListener:
    """Hears when work is queued, so that workers need not poll often."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def wait(self, timeout_s: float) -> bool:
        """Sleep until work was queued since the last call; False when the time is over.

        Raises:
            TransientError: `database-unavailable`; listen anew.
        """
        try:
            return any(True for _ in self._connection.notifies(timeout=timeout_s, stop_after=1))
        except psycopg.Error as error:
            raise TransientError("database-unavailable", f"PostgreSQL: {error}") from error


@contextmanager
def listen_for_work(engine: Engine) -> Iterator[WorkListener]:
    """Open a connection that hears of new work. It says nothing of what was queued before."""
    autocommitting = engine.execution_options(isolation_level="AUTOCOMMIT")
    with unit_of_work(autocommitting) as connection:
        connection.exec_driver_sql(f"listen {CHANNEL}")
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        try:
            yield WorkListener(driver)
        finally:
            if not driver.closed:
                connection.exec_driver_sql(f"unlisten {CHANNEL}")
