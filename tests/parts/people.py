"""People who are logged in, made straight in the database: an argon2 hash would take half a second.

Only tests of the log-in itself, and of what a person sees from there on, go through its page.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args
from uuid import UUID

from argon2 import PasswordHasher
from playwright.sync_api import BrowserContext

from hemaline_cloud.api.authentication import COOKIE, CSRF_HEADER
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.people import EVERY_SITE, add_person, replace_grants
from hemaline_cloud.database.sessions import open_session
from hemaline_cloud.people.accounts import GrantPair, add_account, give_token
from hemaline_cloud.people.passwords import Passwords
from hemaline_cloud.people.secrets import csrf_token, digest, new_secret
from hemaline_cloud.principal import Role

EVERY_ROLE: tuple[Role, ...] = get_args(Role)
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
"""Hashes that take no time: what they protect is a test's."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class LoggedIn:
    """A person with an open session, and an API token that reads, writes and watches."""

    person_id: UUID
    name: str
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


def grants_for(roles: Sequence[Role], site: str = EVERY_SITE) -> list[GrantPair]:
    return [(role, site) for role in roles]


def logged_in(
    database_url: str, roles: Sequence[Role] = EVERY_ROLE, site: str = EVERY_SITE
) -> LoggedIn:
    """Make a person with these roles at a site, or at all, and log them in."""
    name = f"person-{next(_numbers)}"
    secret = new_secret()
    engine = make_engine(database_url, pool_size=1)
    with unit_of_work(engine) as connection:
        person_id = add_person(connection, name, name.capitalize(), "person")
        replace_grants(connection, person_id, "local", grants_for(roles, site), "test")
        open_session(connection, digest(secret), person_id, "password", 12 * 3600)
        scopes = ["read", "write", "metrics"]
        token = give_token(connection, person_id, "test", scopes, timedelta(days=1))
    engine.dispose()
    return LoggedIn(person_id, name, secret, token)


def local_account(database_url: str, name: str, roles: Sequence[Role] = EVERY_ROLE) -> str:
    """Make a person with a password that is checked quickly; return it."""
    engine = make_engine(database_url, pool_size=1)
    with unit_of_work(engine) as connection:
        grants = grants_for(roles)
        password = add_account(connection, name, name.capitalize(), grants, "test", QUICK)
    engine.dispose()
    return password
