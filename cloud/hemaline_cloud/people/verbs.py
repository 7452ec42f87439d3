"""What `hemaline-cloud people …` and `tokens …` do, each in one transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.people import (
    EVERY_SITE,
    PersonRow,
    State,
    find_account,
    grants_of,
    list_people,
    record_about,
    replace_grants,
    set_password,
    set_state,
    set_totp,
)
from hemaline_cloud.database.sessions import discard_token, list_tokens
from hemaline_cloud.people.accounts import (
    add_account,
    add_service,
    give_token,
    grants_in_words,
    named,
    read_grants,
)
from hemaline_cloud.people.passwords import Passwords
from hemaline_cloud.people.secrets import new_password
from hemaline_cloud.principal import Principal, operator
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]
_STATES: tuple[State, ...] = ("active", "paused", "discarded")
_VERBS: dict[State, str] = {"paused": "pause", "active": "resume", "discarded": "discard"}
_WORDS = {
    "paused": "{} is paused: every session has ended, tokens rest until `resume`.",
    "active": "{} may come in again.",
    "discarded": "{} is discarded: every session and token has ended, for good.",
}


def list_everybody(settings: DatabaseSettings, echo: _Print, *, ended: bool) -> None:
    """Print people and services: a line each, its parts parted by tabs."""
    with _transaction(settings) as connection:
        for person in list_people(connection, _STATES if ended else _STATES[:2]):
            parts = [person.name, person.full_name, person.kind, person.state]
            echo("\t".join([*parts, _roles(connection, person)]))


def show_person(settings: DatabaseSettings, name: str, echo: _Print) -> None:
    """Print all that is known of one.

    Raises:
        PermanentError: `no-such-person`.
    """
    with _transaction(settings) as connection:
        person = named(connection, name)
        account = find_account(connection, name)
        grants = grants_of(connection, person.person_id)
    echo(f"name       {person.name}, {person.full_name}")
    echo(f"is         a {person.kind}, {person.state}")
    if account:
        second = "and a second factor" if account.totp_secret else "without a second factor"
        echo(f"logs in    by a password {second}")
    for grant in grants:
        until = f" until {grant.until.isoformat(timespec='minutes')}" if grant.until else ""
        why = f": {grant.reason}" if grant.reason else ""
        where = "every site" if grant.site == EVERY_SITE else grant.site
        echo(f"role       {grant.role} at {where} ({grant.source}){until}{why}")


def add_somebody(
    settings: DatabaseSettings,
    name: str,
    full_name: str,
    roles: Sequence[str],
    echo: _Print,
    *,
    service: bool,
) -> None:
    """Add a person, whose first password is printed, or a service.

    Raises:
        PermanentError: `bad-name`, `name-taken` or `bad-role`.
    """
    grants = read_grants(roles)
    with _transaction(settings) as connection:
        if service:
            add_service(connection, _who(), name, full_name, grants)
            echo(f"{name} is added. Give it a token: hemaline-cloud tokens add {name} --for …")
            return
        password = add_account(connection, _who(), name, full_name, grants, Passwords())
    echo(f"{name}\t{password}")


def change_somebody(
    settings: DatabaseSettings,
    name: str,
    roles: Sequence[str] | None,
    echo: _Print,
    *,
    password: bool,
    no_second_factor: bool,
) -> None:
    """Give exactly these roles, a new password that is printed, or no second factor.

    Raises:
        PermanentError: `no-such-person`, `bad-role` or `no-account`.
    """
    with _transaction(settings) as connection:
        person = named(connection, name)
        if roles is not None:
            grants = read_grants(roles)
            replace_grants(connection, person.person_id, "local", grants, _who().name)
            record_about(connection, _who(), "change-roles", person, grants_in_words(grants))
            echo(f"{person.name}: {_roles(connection, person)}")
        if no_second_factor:
            set_totp(connection, person.person_id, None)
            record_about(connection, _who(), "end-second-factor", person)
            echo(f"{person.name} logs in without a second factor.")
        if password:
            if person.kind == "service":
                raise PermanentError("no-account", "A service has tokens, and no password.")
            new = new_password()
            set_password(connection, person.person_id, Passwords().hash(new))
            record_about(connection, _who(), "change-password", person)
            echo(f"{person.name}\t{new}")


def change_state(settings: DatabaseSettings, name: str, state: State, echo: _Print) -> None:
    """Pause, resume or discard somebody.

    Raises:
        PermanentError: `no-such-person` or `discarded`.
    """
    with _transaction(settings) as connection:
        person = named(connection, name)
        if person.state == "discarded":
            raise PermanentError("discarded", f"{person.name} is discarded, and stays so.")
        set_state(connection, person.person_id, state)
        record_about(connection, _who(), _VERBS[state], person)
    echo(_WORDS[state].format(person.name))


def list_all_tokens(settings: DatabaseSettings, echo: _Print, *, ended: bool) -> None:
    """Print tokens, newest first: a line each, its parts parted by tabs."""
    with _transaction(settings) as connection:
        rows = list_tokens(connection, ended=ended)
    for row in rows:
        until = "discarded" if row.discarded_at else f"until {row.ends_at.date()}"
        echo("\t".join([str(row.token_id), row.person, row.name, ",".join(row.scopes), until]))


def add_new_token(
    settings: DatabaseSettings,
    name: str,
    purpose: str,
    scopes: Sequence[str],
    days: int,
    echo: _Print,
) -> None:
    """Print a new token.

    Raises:
        PermanentError: `no-such-person` or `bad-scope`.
    """
    with _transaction(settings) as connection:
        person = named(connection, name)
        token = give_token(connection, _who(), person, purpose, scopes, timedelta(days=days))
    echo(token)


def discard_one_token(settings: DatabaseSettings, token_id: UUID, echo: _Print) -> None:
    """End a token.

    Raises:
        PermanentError: `no-such-token`.
    """
    with _transaction(settings) as connection:
        if not discard_token(connection, token_id):
            raise PermanentError("no-such-token", f"No token {token_id} is in use.")
        record_event(connection, _who(), Event("discard", "token", token_id))
    echo(f"{token_id} is discarded.")


@contextmanager
def _transaction(settings: DatabaseSettings) -> Iterator[Connection]:
    engine = make_engine(settings.database_url.get_secret_value(), principal=_who(), pool_size=1)
    try:
        with unit_of_work(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def _who() -> Principal:
    return operator(operator_name())


def _roles(connection: Connection, person: PersonRow) -> str:
    grants = grants_of(connection, person.person_id)
    return grants_in_words((grant.role, grant.site) for grant in grants)
