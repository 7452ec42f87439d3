"""What operators did stays as it was written."""

import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.operator_actions import actions_on, operator_name, record_action
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def test_actions_are_told_oldest_first_and_only_of_their_subject(engine):
    letter, frame = new_id(), new_id()
    with unit_of_work(engine) as connection:
        record_action(connection, "ann@lab", "retry", "dead-letter", letter, "refused")
        record_action(connection, "bob@lab", "discard", "dead-letter", letter, "a test image")
        record_action(connection, "ann@lab", "retry", "frame", frame, "undecodable")
    with unit_of_work(engine) as connection:
        told = actions_on(connection, "dead-letter", letter)
    assert [(row.operator, row.action, row.detail) for row in told] == [
        ("ann@lab", "retry", "refused"),
        ("bob@lab", "discard", "a test image"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "update operator_actions set operator = 'nobody'",
        "delete from operator_actions",
        "truncate operator_actions",
    ],
)
def test_what_was_done_can_be_neither_changed_nor_removed(engine, change):
    letter = new_id()
    with unit_of_work(engine) as connection:
        record_action(connection, "ann@lab", "retry", "dead-letter", letter, "refused")
    with (
        pytest.raises(PermanentError, match="only ever added"),
        unit_of_work(engine) as connection,
    ):
        connection.exec_driver_sql(change)
    with unit_of_work(engine) as connection:
        assert len(actions_on(connection, "dead-letter", letter)) == 1


def test_an_operator_has_a_name_even_where_the_user_has_none(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(OSError("no name")))
    assert operator_name().startswith("unknown@")
