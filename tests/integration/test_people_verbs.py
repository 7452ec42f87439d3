"""`hemaline-cloud people …` and `tokens …`, on a real database."""

from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.sessions import find_session, find_token
from hemaline_cloud.people import verbs
from hemaline_cloud.people.accounts import give_token, named
from hemaline_cloud.people.log_in import Credentials, LocalLogIn, RefusedLogInError
from hemaline_cloud.people.passwords import Passwords
from hemaline_cloud.people.secrets import digest
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from parts.people import TESTS, logged_in


@pytest.fixture
def settings(database_url: str) -> MigrateSettings:
    return MigrateSettings(database_url=SecretStr(database_url))


@pytest.fixture
def engine(database_url: str):
    made = make_engine(database_url, principal=TESTS)
    yield made
    made.dispose()


@pytest.fixture
def said():
    return []


def test_whoever_is_added_logs_in_with_the_printed_password(settings, engine, said):
    verbs.add_somebody(
        settings, "r.virchow", "Rudolf", ["haematologist@north"], said.append, service=False
    )
    name, password = said[0].split("\t")
    secret = LocalLogIn(engine, Passwords(), 60)(Credentials(name.upper(), password))
    with unit_of_work(engine) as connection:
        session = find_session(connection, digest(secret), 60)
    assert session
    assert session.found.grants == {("haematologist", "north")}
    said.clear()
    verbs.list_everybody(settings, said.append, ended=False)
    assert said == ["r.virchow\tRudolf\tperson\tactive\thaematologist@north"]
    said.clear()
    verbs.show_person(settings, "R.Virchow", said.append)
    assert "logs in    by a password without a second factor" in said
    assert "role       haematologist at north (local)" in said


def test_a_changed_password_ends_sessions_and_the_old_one(settings, engine, said, database_url):
    verbs.add_somebody(settings, "ada", "Ada", ["admin"], said.append, service=False)
    old = said.pop().split("\t")[1]
    log_in = LocalLogIn(engine, Passwords(), 60)
    secret = log_in(Credentials("ada", old))
    verbs.change_somebody(settings, "ada", None, said.append, password=True, no_second_factor=False)
    with unit_of_work(engine) as connection:
        assert find_session(connection, digest(secret), 60) is None
    with pytest.raises(RefusedLogInError, match="wrong-password"):
        log_in(Credentials("ada", old))
    log_in(Credentials("ada", said[0].split("\t")[1]))


def test_roles_are_replaced(settings, said):
    verbs.add_somebody(settings, "ada", "Ada", ["admin"], said.append, service=False)
    said.clear()
    roles = ["operator", "technologist@south"]
    verbs.change_somebody(
        settings, "ada", roles, said.append, password=False, no_second_factor=True
    )
    assert said[0] == "ada: operator, technologist@south"


def test_a_service_comes_in_by_tokens_until_they_are_discarded(settings, engine, said):
    verbs.add_somebody(settings, "lis", "Lab system", ["operator"], said.append, service=True)
    said.clear()
    verbs.add_new_token(settings, "lis", "reads results", ["read"], 30, said.append)
    token = said.pop()
    assert token.startswith("hml_")
    with unit_of_work(engine) as connection:
        found = find_token(connection, digest(token))
    assert found
    assert (found[0].kind, found[1]) == ("service", ["read"])
    verbs.list_all_tokens(settings, said.append, ended=False)
    token_id = UUID(said.pop().split("\t")[0])
    verbs.discard_one_token(settings, token_id, said.append)
    with unit_of_work(engine) as connection:
        assert find_token(connection, digest(token)) is None
    with pytest.raises(PermanentError, match="No token"):
        verbs.discard_one_token(settings, token_id, said.append)
    with pytest.raises(PermanentError, match="A service has tokens"):
        verbs.change_somebody(
            settings, "lis", None, said.append, password=True, no_second_factor=False
        )


def test_a_token_ends_by_itself(settings, engine, said):
    verbs.add_somebody(settings, "lis", "Lab system", [], said.append, service=True)
    with unit_of_work(engine) as connection:
        person = named(connection, "lis")
        token = give_token(connection, TESTS, person, "x", ["read"], timedelta(seconds=-1))
    with unit_of_work(engine) as connection:
        assert find_token(connection, digest(token)) is None


def test_secrets_are_stored_as_hashes_alone(settings, engine, said, database_url):
    made = logged_in(database_url)
    verbs.add_somebody(settings, "ada", "Ada", [], said.append, service=False)
    password = said[0].split("\t")[1]
    with unit_of_work(engine) as connection:
        for table in ("people", "local_accounts", "sessions", "api_tokens"):
            rows = connection.exec_driver_sql(f"select {table}::text from {table}").scalars()
            stored = " ".join(rows)
            assert stored
            for secret in (password, made.secret, made.token):
                assert secret not in stored
        hashes = connection.exec_driver_sql("select password_hash from local_accounts").scalars()
        assert all(one.startswith("$argon2id$v=19$m=65536") for one in hashes)


@pytest.mark.parametrize(
    ("name", "roles", "words"),
    [
        ("a b", [], "cannot be a name to log in with"),
        ("ada", ["boss"], "'boss' is no role"),
        ("ada", ["admin@A B"], "cannot be the name of a site"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(settings, said, name, roles, words):
    with pytest.raises(PermanentError, match=words):
        verbs.add_somebody(settings, name, name, roles, said.append, service=False)


def test_a_name_is_taken_whatever_its_case(settings, said):
    verbs.add_somebody(settings, "ada", "Ada", [], said.append, service=True)
    with pytest.raises(PermanentError, match="somebody is called Ada already"):
        verbs.add_somebody(settings, "Ada", "Ada", [], said.append, service=True)
    with pytest.raises(PermanentError, match="Nobody is called bob"):
        verbs.change_state(settings, "bob", "paused", said.append)


def test_the_discarded_stay_so(settings, said):
    verbs.add_somebody(settings, "ada", "Ada", [], said.append, service=True)
    verbs.change_state(settings, "ada", "discarded", said.append)
    with pytest.raises(PermanentError, match="is discarded, and stays so"):
        verbs.change_state(settings, "ada", "active", said.append)


def test_what_is_done_about_people_is_on_record(settings, engine, said):
    verbs.add_somebody(settings, "ada", "Ada", ["admin@north"], said.append, service=False)
    verbs.change_somebody(
        settings, "ada", ["operator"], said.append, password=True, no_second_factor=True
    )
    for state in ("paused", "active"):
        verbs.change_state(settings, "ada", state, said.append)
    verbs.add_new_token(settings, "ada", "a script", ["read"], 30, said.append)
    verbs.list_all_tokens(settings, said.append, ended=False)
    verbs.discard_one_token(settings, UUID(said.pop().split("\t")[0]), said.append)
    verbs.change_state(settings, "ada", "discarded", said.append)
    wanted = "select action, subject, detail, actor from audit_events order by event_id"
    with unit_of_work(engine) as connection:
        events = [tuple(row) for row in connection.exec_driver_sql(wanted)]
    assert [event[:3] for event in events] == [
        ("add", "person", "admin@north"),
        ("change-roles", "person", "operator"),
        ("end-second-factor", "person", ""),
        ("change-password", "person", ""),
        ("pause", "person", ""),
        ("resume", "person", ""),
        ("add-token", "person", "a script (read)"),
        ("discard", "token", ""),
        ("discard", "person", ""),
    ]
    assert {event[3] for event in events} == {f"operator:{operator_name()}"}
