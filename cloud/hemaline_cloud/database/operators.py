"""Engines and transactions of operators' verbs."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from hemaline_cloud.database.engine import STATEMENT_TIMEOUT_S, make_engine, unit_of_work
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.operators import operator_name


@contextmanager
def operator_engine(
    settings: DatabaseSettings, *, statement_timeout_s: float = STATEMENT_TIMEOUT_S
) -> Iterator[Engine]:
    """Open the database as whoever runs the command.

    Args:
        settings: Where it is.
        statement_timeout_s: Of each statement; 0: none.
    """
    engine = make_engine(
        settings.database_url.get_secret_value(),
        principal=operator(operator_name()),
        statement_timeout_s=statement_timeout_s,
    )
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def operator_transaction(settings: DatabaseSettings) -> Iterator[Connection]:
    """Open one transaction of whoever runs the command."""
    with operator_engine(settings) as engine, unit_of_work(engine) as connection:
        yield connection
