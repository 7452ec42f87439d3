"""Transactions of operators' verbs."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.operators import operator_name


@contextmanager
def operator_transaction(settings: DatabaseSettings) -> Iterator[Connection]:
    """Open one transaction of whoever runs the command."""
    who = operator(operator_name())
    engine = make_engine(settings.database_url.get_secret_value(), principal=who)
    try:
        with unit_of_work(engine) as connection:
            yield connection
    finally:
        engine.dispose()
