"""Who may log in to the system of this machine: an account for each role, and the runner."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import get_args

from sqlalchemy import Connection

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.people import EVERY_SITE, find_person
from hemaline_cloud.people.accounts import GrantPair, add_account, add_service, give_token
from hemaline_cloud.people.passwords import Passwords
from hemaline_cloud.principal import Principal, Role, operator
from hemaline_shared.durable import write_durably
from hemaline_shared.operators import operator_name

FILE = "log-ins.json"
_RUNNER = "hemaline-runner"
_RUN = timedelta(days=30)
"""How long the runner's token is good; each start makes one."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Names and passwords, where they are kept, and whether they are new."""

    passwords: dict[str, str]
    file: Path
    new: bool
    token: str
    """By which the runner itself reads what the API tells."""


def make_accounts(database_url: str, home: Path) -> Accounts:
    """Make one account for each role where there is none, and a token for the runner.

    The passwords stand in a file of the home that its owner alone can read.
    """
    file = home / FILE
    who = operator(operator_name())
    engine = make_engine(database_url, principal=who, pool_size=1)
    try:
        with unit_of_work(engine) as connection:
            runner = find_person(connection, _RUNNER)
            added = {} if runner else _add_one_of_each_role(connection, who)
            if runner is None:
                roles: list[GrantPair] = [("operator", EVERY_SITE)]
                runner = add_service(connection, who, _RUNNER, "This machine", roles)
                # Before the commit: no account without its password.
                write_durably(file, json.dumps(added, indent=2).encode(), 0o600)
            token = give_token(connection, who, runner, "this run", ["read"], _RUN)
    finally:
        engine.dispose()
    return Accounts(added or _kept(file), file, bool(added), token)


def _add_one_of_each_role(connection: Connection, who: Principal) -> dict[str, str]:
    """Add an account for each role; return the passwords by name."""
    roles: tuple[Role, ...] = get_args(Role)
    passwords = Passwords()
    return {
        role: add_account(connection, who, role, role.capitalize(), [(role, EVERY_SITE)], passwords)
        for role in roles
    }


def _kept(file: Path) -> dict[str, str]:
    """Return what the file says; nothing where somebody took it away."""
    try:
        found: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found
