"""What was done stays as it was written."""

import pytest

from hemaline_cloud.database.audit import Event, changes_of, operator_name, record_event
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import operator
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id
from parts.postgres import as_owner

ANN, BOB = operator("ann@lab"), operator("bob@lab")


@pytest.fixture
def engine(database_url):
    engine = make_engine(as_owner(database_url))
    yield engine
    engine.dispose()


def test_changes_are_told_oldest_first_and_only_of_their_subject(engine):
    letter, frame = new_id(), new_id()
    with unit_of_work(engine) as connection:
        record_event(connection, ANN, Event("retry", "dead-letter", letter, "refused"))
        record_event(connection, ANN, Event("read", "dead-letter", letter))
        record_event(connection, BOB, Event("discard", "dead-letter", letter, "a test image"))
        record_event(connection, ANN, Event("retry", "frame", frame, "undecodable"))
    with unit_of_work(engine) as connection:
        told = changes_of(connection, letter)
    assert [(row.actor_name, row.action, row.detail) for row in told] == [
        ("ann@lab", "retry", "refused"),
        ("bob@lab", "discard", "a test image"),
    ]


@pytest.mark.parametrize("table", ["audit_events", "audit_seals"])
@pytest.mark.parametrize("change", ["update {} set events = 0", "delete from {}", "truncate {}"])
def test_what_was_written_can_be_neither_changed_nor_removed(engine, table, change):
    statement = change.format(table).replace(
        "events = 0", "actor = 'x'" if table == "audit_events" else "events = 0"
    )
    with (
        pytest.raises(PermanentError, match="only ever added"),
        unit_of_work(engine) as connection,
    ):
        connection.exec_driver_sql(statement)


def test_an_operator_has_a_name_even_where_the_user_has_none(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(OSError("no name")))
    assert operator_name().startswith("unknown@")
