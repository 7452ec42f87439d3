"""Trouble with PostgreSQL is told apart: what passes, and what never will."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from hemaline_cloud.database.checks import database_problem
from hemaline_cloud.database.engine import make_engine, pipelined, unit_of_work
from hemaline_shared.errors import PermanentError, TransientError
from parts.postgres import as_owner


@pytest.fixture
def engine(database_url):
    engine = make_engine(as_owner(database_url), pool_size=1, statement_timeout_s=0.2)
    yield engine
    engine.dispose()


def execute(engine, statement):
    with unit_of_work(engine) as connection:
        connection.execute(text(statement))


def test_a_server_that_is_away_is_trouble_that_passes():
    away = make_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(TransientError) as caught:
        execute(away, "select 1")
    assert caught.value.reason == "database-unavailable"
    assert "PostgreSQL" in database_problem(away)


def test_a_statement_that_hangs_is_given_up(engine):
    with pytest.raises(TransientError, match="timeout"):
        execute(engine, "select pg_sleep(5)")
    assert database_problem(engine) is None


def test_a_connection_that_was_cut_is_replaced(engine):
    with pytest.raises(TransientError):
        execute(engine, "select pg_terminate_backend(pg_backend_pid())")
    execute(engine, "select 1")


@pytest.mark.parametrize("statement", ["select 'x'::int", "insert into work values (null)"])
def test_values_that_break_a_type_or_constraint_are_wrong_for_good(engine, statement):
    with pytest.raises(PermanentError) as caught:
        execute(engine, statement)
    assert caught.value.reason == "unstorable"


def send_together(engine, *statements):
    with unit_of_work(engine) as connection, pipelined(connection):
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("insert into work values (null)", PermanentError),
        ("select pg_terminate_backend(pg_backend_pid())", TransientError),
        ("select pg_sleep(5)", TransientError),
    ],
)
def test_statements_that_are_sent_together_fail_as_one_by_one(engine, statement, expected):
    with pytest.raises(expected):
        send_together(engine, statement, "create table half (x int)")
    with unit_of_work(engine) as connection:
        assert connection.scalar(text("select to_regclass('half')")) is None


def test_statements_that_are_sent_together_take_effect_with_the_transaction(engine):
    with unit_of_work(engine) as connection:
        connection.execute(text("create table kept (x int)"))
        with pipelined(connection):
            for number in range(3):
                connection.execute(text("insert into kept values (:n)"), {"n": number})
    with unit_of_work(engine) as connection:
        assert connection.scalar(text("select sum(x) from kept")) == 3


def test_arrays_hold_every_kind_of_value(engine):
    """They are sent in binary, where each kind has a form of its own."""
    rows = {
        "texts": ['a "quoted" one', "Zürich", None],
        "numbers": [1, 2**40, None],
        "shares": [0.25, -1e300, None],
        "ids": [UUID(int=7), None],
        "bytes": [b"\x00\xff", None],
        "times": [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None],
        "truths": [True, None],
    }
    with unit_of_work(engine) as connection:
        for values in rows.values():
            got = connection.exec_driver_sql("select %(v)s", {"v": values}).scalar()
            assert got == values


def test_a_failed_unit_of_work_leaves_nothing(engine):
    with pytest.raises(PermanentError):
        execute(engine, "create table half (x int); select 'x'::int")
    with unit_of_work(engine) as connection:
        assert connection.scalar(text("select to_regclass('half')")) is None


def test_a_defect_of_ours_is_no_trouble_of_the_database(engine):
    with pytest.raises(ProgrammingError):
        execute(engine, "selct 1")


def test_no_row_stands_in_an_error(engine):
    row = "('11111111-1111-1111-1111-111111111111', 0, now(), 0, 'the-patient')"
    columns = "(frame_id, priority, enqueued_at, attempts, leased_by)"
    with pytest.raises(PermanentError) as caught:
        execute(engine, f"insert into work {columns} values {row}")
    assert "the-patient" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://me:secret@there/data", "postgresql://me:secret@there:port/data"],
)
def test_what_is_no_address_of_postgresql_is_told_without_its_password(url):
    with pytest.raises(PermanentError) as refused:
        make_engine(url)
    assert refused.value.reason == "bad-settings"
    assert "HEMALINE_DATABASE_URL" in str(refused.value)
    assert "secret" not in str(refused.value)
