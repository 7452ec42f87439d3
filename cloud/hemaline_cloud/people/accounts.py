"""Adding people, services and tokens: what commands, the local system and tests all do."""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import get_args

from sqlalchemy import Connection

from hemaline_cloud.database.people import (
    EVERY_SITE,
    Kind,
    PersonRow,
    add_person,
    find_person,
    record_about,
    replace_grants,
    set_password,
)
from hemaline_cloud.database.sessions import Scope, add_token
from hemaline_cloud.people.passwords import Passwords
from hemaline_cloud.people.secrets import digest, new_password, new_token
from hemaline_cloud.principal import Principal, Role
from hemaline_shared.errors import PermanentError
from hemaline_shared.topics import is_site_name

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

GrantPair = tuple[Role, str]


def add_account(
    connection: Connection,
    who: Principal,
    name: str,
    full_name: str,
    grants: Iterable[GrantPair],
    passwords: Passwords,
) -> str:
    """Add a person with a local account; return the password.

    Raises:
        PermanentError: `bad-name` or `name-taken`.
    """
    person = _add(connection, who, name, full_name, "person", grants)
    password = new_password()
    set_password(connection, person.person_id, passwords.hash(password))
    return password


def add_service(
    connection: Connection,
    who: Principal,
    name: str,
    full_name: str,
    grants: Iterable[GrantPair],
) -> PersonRow:
    """Add a service; it gets in by tokens.

    Raises:
        PermanentError: `bad-name` or `name-taken`.
    """
    return _add(connection, who, name, full_name, "service", grants)


def give_token(
    connection: Connection,
    who: Principal,
    person: PersonRow,
    purpose: str,
    scopes: Collection[str],
    lifetime: timedelta,
) -> str:
    """Return a new token; nobody can read it again.

    Raises:
        PermanentError: `bad-scope`.
    """
    known: tuple[Scope, ...] = get_args(Scope)
    if not scopes or not set(scopes) <= set(known):
        raise PermanentError("bad-scope", f"A token's scopes are of {', '.join(known)}.")
    token = new_token()
    wanted = [scope for scope in known if scope in scopes]
    add_token(connection, person.person_id, purpose, digest(token), wanted, lifetime)
    record_about(connection, who, "add-token", person, f"{purpose} ({', '.join(wanted)})")
    return token


def named(connection: Connection, name: str) -> PersonRow:
    """Return who is called so.

    Raises:
        PermanentError: `no-such-person`.
    """
    found = find_person(connection, name)
    if found is None:
        raise PermanentError("no-such-person", f"Nobody is called {name}.")
    return found


def read_grants(words: Sequence[str]) -> list[GrantPair]:
    """Read `ROLE` or `ROLE@SITE`.

    Raises:
        PermanentError: `bad-role`.
    """
    roles: tuple[Role, ...] = get_args(Role)
    grants = []
    for word in words:
        role, _, site = word.partition("@")
        known = next((one for one in roles if one == role), None)
        if known is None:
            raise PermanentError(
                "bad-role", f"{role!r} is no role: there are {', '.join(roles)}, each with @SITE."
            )
        if site and site != EVERY_SITE and not is_site_name(site):
            raise PermanentError("bad-role", f"{site!r} cannot be the name of a site.")
        grants.append((known, site or EVERY_SITE))
    return grants


def grants_in_words(grants: Iterable[GrantPair]) -> str:
    """Spell grants as `read_grants` reads them."""
    words = [role if site == EVERY_SITE else f"{role}@{site}" for role, site in grants]
    return ", ".join(words) or "no role"


def _add(
    connection: Connection,
    who: Principal,
    name: str,
    full_name: str,
    kind: Kind,
    grants: Iterable[GrantPair],
) -> PersonRow:
    pairs = sorted(set(grants))
    person_id = add_person(connection, _checked(name), full_name, kind)
    replace_grants(connection, person_id, "local", pairs, who.name)
    person = PersonRow(person_id, name, full_name, kind, "active")
    record_about(connection, who, "add", person, grants_in_words(pairs))
    return person


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise PermanentError(
            "bad-name",
            f"{name!r} cannot be a name to log in with: letters, digits and . _ @ - are.",
        )
    return name
