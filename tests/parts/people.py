"""People who are logged in, made straight in the database: an argon2 hash would take half a second.

Only tests of the log-in itself, and of what a person sees from there on, go through its page.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args
from uuid import UUID

from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from playwright.sync_api import BrowserContext
from sqlalchemy import Connection

from hemaline_cloud.api.authentication import COOKIE, CSRF_HEADER
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.people import EVERY_SITE, PersonRow, add_person, replace_grants
from hemaline_cloud.database.sessions import open_session
from hemaline_cloud.people.accounts import GrantPair, add_account, give_token
from hemaline_cloud.people.passwords import Passwords
from hemaline_cloud.people.secrets import csrf_token, digest, new_secret
from hemaline_cloud.principal import Role, service

EVERY_ROLE: tuple[Role, ...] = get_args(Role)
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
"""Hashes that take no time: what they protect is a test's."""

TESTS = service("tests")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class LoggedIn:
    """A person with an open session, and an API token that reads, writes and watches."""

    person_id: UUID
    name: str
    full_name: str
    secret: str
    token: str

    @property
    def cookies(self) -> dict[str, str]:
        return {COOKIE: self.secret}

    @property
    def changing(self) -> dict[str, str]:
        """Headers of a change that a page of the session sends."""
        return {CSRF_HEADER: csrf_token(self.secret)}

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def enter(self, context: BrowserContext, address: str) -> None:
        """Let a browser have the session."""
        context.add_cookies([{"name": COOKIE, "value": self.secret, "url": address}])


def as_person(client: TestClient, who: LoggedIn) -> TestClient:
    """Let a client have somebody's session, and send what a page of it sends."""
    client.cookies.clear()
    client.cookies.update(who.cookies)
    client.headers.update(who.changing)
    return client


def one_of(client: TestClient, people: Mapping[str, LoggedIn]) -> Callable[[str], None]:
    """Return what lets a client be another of these people; it begins as the first."""

    def change(name: str) -> None:
        as_person(client, people[name])

    change(next(iter(people)))
    return change


def grants_for(roles: Sequence[Role], site: str = EVERY_SITE) -> list[GrantPair]:
    return [(role, site) for role in roles]


def logged_in(
    database_url: str,
    roles: Sequence[Role] = EVERY_ROLE,
    site: str = EVERY_SITE,
    full_name: str = "",
) -> LoggedIn:
    """Make a person with these roles at a site, or at all, and log them in."""
    name = f"person-{next(_numbers)}"
    full_name = full_name or name.capitalize()
    secret = new_secret()
    with _transaction(database_url) as connection:
        person_id = add_person(connection, name, full_name, "person")
        replace_grants(connection, person_id, "local", grants_for(roles, site), "test")
        open_session(connection, digest(secret), person_id, "password", 12 * 3600)
        person = PersonRow(person_id, name, full_name, "person", "active")
        scopes = ["read", "write", "metrics"]
        token = give_token(connection, TESTS, person, "test", scopes, timedelta(days=1))
    return LoggedIn(person_id, name, full_name, secret, token)


def local_account(database_url: str, name: str, roles: Sequence[Role] = EVERY_ROLE) -> str:
    """Make a person with a password that is checked quickly; return it."""
    with _transaction(database_url) as connection:
        grants = grants_for(roles)
        return add_account(connection, TESTS, name, name.capitalize(), grants, QUICK)


def let(database_url: str, person: LoggedIn, grants: Sequence[GrantPair]) -> None:
    """Let somebody have exactly these roles, each at its site."""
    with _transaction(database_url) as connection:
        replace_grants(connection, person.person_id, "local", grants, "test")


@contextmanager
def _transaction(database_url: str) -> Iterator[Connection]:
    engine = make_engine(database_url, principal=TESTS, pool_size=1)
    try:
        with unit_of_work(engine) as connection:
            yield connection
    finally:
        engine.dispose()
