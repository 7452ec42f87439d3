"""Migrations on a real server: they make the schema that the code expects, once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import inspect

from hemaline_cloud.database import migrate as migrate_module
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.migrate import migrate
from hemaline_cloud.database.schema import Base
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import TransientError


def settings(url):
    return MigrateSettings(database_url=SecretStr(url))


@pytest.fixture
def engine(empty_database_url):
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_schema_of_the_code(engine, empty_database_url):
    migrate(settings(empty_database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_twice_changes_nothing(engine, empty_database_url):
    migrate(settings(empty_database_url))
    migrate(settings(empty_database_url))
    assert "slides" in inspect(engine).get_table_names()


def test_migrators_at_once_do_not_race(engine, empty_database_url):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [settings(empty_database_url)] * 4))
    assert "work" in inspect(engine).get_table_names()


def test_migrate_gives_up_on_a_server_that_never_comes(monkeypatch):
    monkeypatch.setattr(migrate_module, "_SERVER_WAIT_S", 0.1)
    with pytest.raises(TransientError, match="PostgreSQL") as caught:
        migrate(settings("postgresql://nobody@127.0.0.1:1/none"))
    assert caught.value.reason == "database-unavailable"


def test_a_database_without_the_schema_is_trouble_that_passes(engine):
    with pytest.raises(TransientError, match="hemaline-cloud migrate"), unit_of_work(engine) as c:
        c.exec_driver_sql("select 1 from slides")
