"""A transaction is somebody's, and the next one on the same connection is not theirs."""

import pytest
from sqlalchemy import text

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import ALL_SITES, Principal, service
from hemaline_shared.errors import TransientError

READER = Principal("p-1", "Ada", "person", sites=frozenset({"north", "east"}))
NOBODY = ("", "")
_WHO = text("select current_setting('hemaline.sites', true)")
_PERSON = text("select current_setting('hemaline.principal', true)")


def of(connection):
    return tuple(connection.scalar(asked) or "" for asked in (_WHO, _PERSON))


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, pool_size=1)
    yield engine
    engine.dispose()


def principal_in(engine, principal=None):
    with unit_of_work(engine, principal) as connection:
        return of(connection)


def test_a_transaction_says_whose_it_is(engine):
    assert principal_in(engine, READER) == ("east,north", "p-1")


def test_the_next_transaction_of_the_connection_is_nobodys(engine):
    with unit_of_work(engine, READER) as connection:
        backend = connection.scalar(text("select pg_backend_pid()"))
    with unit_of_work(engine) as connection:
        assert connection.scalar(text("select pg_backend_pid()")) == backend
        assert of(connection) == NOBODY


def test_a_transaction_that_fails_leaves_nobody_behind(engine):
    with pytest.raises(ZeroDivisionError), unit_of_work(engine, READER):
        raise ZeroDivisionError
    assert principal_in(engine) == NOBODY


def test_what_a_transaction_sets_by_itself_ends_with_it_as_well(engine):
    with unit_of_work(engine, READER) as connection:
        connection.execute(text("set local hemaline.sites = '*'"))
    assert principal_in(engine) == NOBODY


def test_a_process_has_a_principal_that_a_transaction_may_replace(database_url):
    engine = make_engine(database_url, pool_size=1, principal=service("ingest"))
    assert principal_in(engine) == (ALL_SITES.value, "service:ingest")
    assert principal_in(engine, READER) == ("east,north", "p-1")
    assert principal_in(engine) == (ALL_SITES.value, "service:ingest")
    engine.dispose()


def test_a_person_of_no_site_is_still_named(engine):
    assert principal_in(engine, Principal("p-2", "Bo", "person")) == ("", "p-2")


def test_a_connection_that_was_cut_before_its_transaction_is_trouble_that_passes(database_url):
    engine = make_engine(database_url, pool_size=1, principal=service("ingest"), ping=False)
    with pytest.raises(TransientError), unit_of_work(engine) as connection:
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
    other = make_engine(database_url, pool_size=1)
    with unit_of_work(engine) as connection:
        backend = connection.scalar(text("select pg_backend_pid()"))
    with unit_of_work(other) as connection:
        connection.execute(text("select pg_terminate_backend(:pid)"), {"pid": backend})
    with pytest.raises(TransientError) as cut:
        principal_in(engine)
    assert cut.value.reason == "database-unavailable"
    assert principal_in(engine) == (ALL_SITES.value, "service:ingest")
    for one in (engine, other):
        one.dispose()
