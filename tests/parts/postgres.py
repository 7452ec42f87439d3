"""A PostgreSQL server of the wheel; a fresh migrated database is a copy of a template."""

import itertools
import os
import signal
import sys
from pathlib import Path

import psycopg
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from hemaline_cloud.database.migrate import migrate
from hemaline_cloud.settings import MigrateSettings
from hemaline_local.child import Child
from hemaline_local.postgres import STOP_SIGNAL, forget_url, remove_sockets, url_of
from parts.waiting import LONG_S

_numbers = itertools.count(1)
_OWNER, _APPLICATION = "//postgres@", "//hemaline_application@"


def as_application(url: str) -> str:
    """Return a database's address for the role of the processes, which policies bind."""
    return url.replace(_OWNER, _APPLICATION)


def as_owner(url: str) -> str:
    """Return a database's address for its owner, who sees every row and may change tables."""
    return url.replace(_APPLICATION, _OWNER)


class PostgresPart:
    """A server that does not sync its disk, for tests; a `durable` one does, for measurements."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self._durable = durable
        self._child: Child | None = None
        self._template: str | None = None

    def start(self) -> None:
        forget_url(self.folder)
        command = [sys.executable, "-m", "hemaline_local.postgres", str(self.folder)]
        log = self.folder / "postgres.log"
        self._child = Child("postgres", command, log, stop_signal=STOP_SIGNAL)
        self._child.wait_ready(lambda: url_of(self.folder) is not None, timeout_s=LONG_S)
        # Thousands of files of test databases would be synced at the stop, for many seconds.
        self._execute(f"alter system set fsync = {'on' if self._durable else 'off'}")
        if not self._durable:
            # Each new database is a copy that is written ahead: their files would fill the memory.
            self._execute("alter system set max_wal_size = '128MB'")
        self._execute("select pg_reload_conf()")

    def stop(self) -> None:
        if self._child:
            self._child.stop(timeout_s=LONG_S)
            remove_sockets(self.folder)

    def restart(self) -> None:
        """An orderly restart: every connection is cut."""
        self.stop()
        self.start()

    def end_at_once(self, how: signal.Signals) -> None:
        """End the server without its wrapper: SIGQUIT as a crash would, SIGINT in good order."""
        assert self._child
        pid = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, how)
        assert self._child.wait(LONG_S) is not None

    def url(self, database: str) -> str:
        base = url_of(self.folder)
        assert base, "the server is not running"
        return make_url(base).set(database=database).render_as_string(hide_password=False)

    def create_empty(self) -> str:
        name = f"empty_{next(_numbers)}"
        self._execute(f"create database {name}")
        return self.url(name)

    def create_migrated(self) -> str:
        """Make a database of this version's schema; return its address for the processes."""
        if self._template is None:
            self._execute("create database template_migrated")
            migrate(MigrateSettings(database_url=SecretStr(self.url("template_migrated"))))
            self._template = "template_migrated"
        name = f"test_{next(_numbers)}"
        self._execute(f"create database {name} template {self._template} strategy file_copy")
        return as_application(self.url(name))

    def drop(self, url: str) -> None:
        """Drop a database that a test is done with, whoever is still connected to it."""
        self._execute(f"drop database {make_url(url).database} with (force)")

    def create_owned(self, rights: str = "createrole") -> str:
        """Return the address of an empty database whose owner is no superuser."""
        name = f"owner_{next(_numbers)}"
        self._execute(f"create role {name} login {rights}")
        self._execute(f"create database {name} owner {name}")
        return self.url(name).replace(_OWNER, f"//{name}@")

    def with_password(self, user: str, password: str) -> str:
        """Return the address of the server for a new user who needs a password."""
        self._execute(f"create role {user} login password '{password}'")
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        self._execute("select pg_reload_conf()")
        return self.url("postgres").replace("//postgres", f"//{user}")

    def create_sql_ascii(self) -> str:
        """A database as `createdb` makes it on a server without a locale."""
        name = f"ascii_{next(_numbers)}"
        self._execute(f"create database {name} encoding 'SQL_ASCII' locale 'C' template template0")
        return self.url(name)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]
