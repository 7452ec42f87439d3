"""`hemaline-cloud` on a database that will not do: one sentence, at once, and no password."""

import itertools
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from hemaline_cloud.database.checks import check_at_start, database_problem
from hemaline_cloud.database.engine import make_engine
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from hemaline_shared.errors import PermanentError
from parts.health import ask_health
from parts.postgres import as_application, as_owner
from parts.waiting import wait_until

PASSWORD = "Geheim#42"
PROCESSES = ["migrate", "ingest", "infer", "api"]
LONG_S = 300
_users = itertools.count(1)


@pytest.fixture
def environment(tmp_path):
    """Settings that are right for every process but for the database."""

    def with_database(url, **more):
        values = {
            "HEMALINE_DATABASE_URL": url,
            "HEMALINE_OBJECTS__KIND": "directory",
            "HEMALINE_OBJECTS__PATH": str(tmp_path / "objects"),
            "HEMALINE_BROKER__PORT": str(free_port()),
            "HEMALINE_BUNDLE": str(tmp_path / "bundle"),
            **more,
        }
        return {**os.environ, **values}

    return with_database


@pytest.fixture
def refused_url(postgres):
    """An address whose password is wrong."""
    url = postgres.with_password(f"stranger_{next(_users)}", "another")
    return url.replace("@", ":Geheim%2342@", 1)


def run(command, env):
    done = subprocess.run(
        [sys.executable, "-m", "hemaline_cloud", command],
        env=env,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    assert "Geheim" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("command", PROCESSES)
def test_a_wrong_password_is_one_line_and_status_2(command, environment, refused_url):
    done = run(command, environment(refused_url))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("✗ password authentication failed for user")
    assert "HEMALINE_DATABASE_URL" in line


@pytest.mark.parametrize("command", PROCESSES)
def test_a_database_that_cannot_hold_every_text_is_one_line_and_status_2(
    command, environment, postgres
):
    done = run(command, environment(postgres.create_sql_ascii()))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "has the encoding SQL_ASCII" in line
    assert "createdb --encoding=UTF8" in line


def test_a_database_that_is_not_there_is_refused(postgres):
    with pytest.raises(PermanentError, match="check user, password and database name"):
        check_at_start(postgres.url("no_such_database"))


def test_a_user_without_its_password_is_refused(postgres):
    url = postgres.with_password(f"stranger_{next(_users)}", "another")
    with pytest.raises(PermanentError, match="no password supplied"):
        check_at_start(url)


def test_a_server_that_is_away_is_waited_for(caplog):
    check_at_start("postgresql://me:Geheim42@127.0.0.1:1/data")
    assert "waiting for the database" in caplog.text
    assert "Geheim" not in caplog.text


def test_a_database_that_was_never_migrated_is_told_and_then_no_more(empty_database_url, postgres):
    engine = make_engine(empty_database_url)
    assert database_problem(engine) == (
        "the database was never migrated: run `hemaline-cloud migrate`"
    )
    engine.dispose()
    engine = make_engine(postgres.create_migrated())
    assert database_problem(engine) is None
    engine.dispose()


def test_an_older_schema_is_told_and_a_newer_one_is_none_of_our_business(database_url):
    engine = make_engine(as_owner(database_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '0001'")
    assert "the database has the schema 0001" in database_problem(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    assert database_problem(engine) is None
    engine.dispose()


@pytest.mark.parametrize("command", ["ingest", "api"])
def test_a_process_on_an_empty_database_says_so_and_goes_on_once_it_is_migrated(
    command, environment, postgres, empty_database_url, tmp_path
):
    postgres.create_migrated()  # a server where their role is made, if not their tables
    port = free_port()
    where = "HEMALINE_PORT" if command == "api" else "HEMALINE_HEALTH__PORT"
    env = environment(as_application(empty_database_url), **{where: str(port)})
    arguments = [sys.executable, "-m", "hemaline_cloud", command]
    child = Child(command, arguments, tmp_path / "log", env)
    try:
        child.wait_ready(lambda: http_ok(port, "/healthz"), LONG_S, port=port)
        assert "never migrated: run `hemaline-cloud migrate`" in child.log_tail()
        problems = json.loads(ask_health(port, "/readyz")[1])["problems"]
        assert "hemaline-cloud migrate" in problems["database"]
        assert run("migrate", environment(empty_database_url)).returncode == 0
        wait_until(lambda: "database" not in _problems(port), LONG_S)
    finally:
        child.stop()


def _problems(port):
    return json.loads(ask_health(port, "/readyz")[1])["problems"]


def test_migrate_waits_for_a_server_that_starts_and_says_so_once(
    environment, postgres, empty_database_url
):
    postgres.stop()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "hemaline_cloud", "migrate"],
            env=environment(empty_database_url),
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting = process.stderr.readline()
        time.sleep(3)
    finally:
        postgres.start()
    _, rest = process.communicate(timeout=LONG_S)
    assert process.returncode == 0, rest
    assert "waiting for the database" in waiting
    assert rest.count("waiting for the database") <= 1, "only where the trouble is another one"


def test_a_taken_port_of_the_api_is_one_line_and_status_2(environment, database_url):
    with_port = environment(database_url, HEMALINE_PORT=str(port := free_port()))
    with socket.create_server(("127.0.0.1", port)):
        done = run("api", with_port)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    line = done.stderr
    assert "another program listens there; set HEMALINE_PORT" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEMALINE_DATABSE_URL", "postgresql://me:Geheim42@db/x"),
        ("HEMALINE_HEALTH__PORT", "99999999"),
        ("HEMALINE_LOG_LEVEL", "loud"),
        ("HEMALINE_OBJECTS__KIND", "tape"),
        ("HEMALINE_BROKER", "broker.lab"),
        ("HEMALINE_OBJECTS__SECRET_KEY", "Geheim42"),
    ],
)
def test_what_is_no_setting_is_named_with_status_2(environment, name, value):
    done = run("ingest", environment("postgresql://127.0.0.1:1/x", **{name: value}))
    assert done.returncode == 2
    assert name in done.stderr
    assert all(line.startswith("✗ ") for line in done.stderr.splitlines())
