"""What a log-in at the identity provider means here: whose it is, their roles, a session."""

import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.oidc_log_ins import remember_log_in, take_log_in
from hemaline_cloud.database.people import (
    PersonRow,
    add_identity,
    add_person,
    find_person,
    person_of_subject,
    record_about,
    rename,
    replace_grants,
)
from hemaline_cloud.database.sessions import open_session
from hemaline_cloud.people.accounts import GrantPair
from hemaline_cloud.people.oidc import Arrival, IdentityProvider
from hemaline_cloud.people.secrets import digest, new_secret
from hemaline_shared.errors import PermanentError

_NO_LETTER = re.compile(r"[^A-Za-z0-9._@-]+")


@dataclass(frozen=True, slots=True)
class Welcome:
    """A session's secret, and the page that somebody wanted."""

    secret: str
    return_to: str


class OidcLogIn:
    """Lets people go to the provider and come back."""

    def __init__(self, engine: Engine, provider: IdentityProvider, lifetime_s: int) -> None:
        self._engine = engine
        self._provider = provider
        self._lifetime_s = lifetime_s

    def depart(self, browser: str, return_to: str, *, again: bool) -> str:
        """Return the provider's address for a browser that holds this cookie.

        Raises:
            TransientError: `identity-provider-away`.
        """
        departure = self._provider.depart(again=again)
        with unit_of_work(self._engine) as connection:
            remember_log_in(
                connection,
                digest(departure.state),
                digest(browser),
                departure.nonce,
                departure.code_verifier,
                return_to,
            )
        return departure.address

    def arrive(self, browser: str, state: str, code: str) -> Welcome:
        """Open a session for whoever came back.

        Raises:
            TransientError: `identity-provider-away`.
            PermanentError: `log-in-unknown` for a replayed, foreign or old return;
                `account-closed`; and as `IdentityProvider.arrive`.
        """
        # Taken in a transaction of its own: whatever happens next, this return was used.
        with unit_of_work(self._engine) as connection:
            taken = take_log_in(connection, digest(state), digest(browser))
        if taken is None:
            raise PermanentError(
                "log-in-unknown", "this return was used already, is too old, or not this browser's"
            )
        arrival = self._provider.arrive(code, taken.nonce, taken.code_verifier)
        secret = new_secret()
        with unit_of_work(self._engine) as connection:
            person = self._person(connection, arrival)
            grants = cast("set[GrantPair]", self._provider.grants(arrival.groups))
            replace_grants(connection, person.person_id, "oidc", grants, arrival.issuer)
            open_session(
                connection,
                digest(secret),
                person.person_id,
                "oidc",
                self._lifetime_s,
                arrival.authenticated_at,
            )
            record_about(connection, person.principal, "log-in", person, "oidc")
        return Welcome(secret, taken.return_to)

    def _person(self, connection: Connection, arrival: Arrival) -> PersonRow:
        known = person_of_subject(connection, arrival.issuer, arrival.subject)
        if known is None:
            name = _free_name(connection, arrival)
            person_id = add_person(connection, name, arrival.full_name, "person")
            add_identity(connection, arrival.issuer, arrival.subject, person_id)
            return PersonRow(person_id, name, arrival.full_name, "person", "active")
        if known.state != "active":
            raise PermanentError("account-closed", f"{known.name} is {known.state} here")
        rename(connection, known.person_id, arrival.full_name)
        return known


def _free_name(connection: Connection, arrival: Arrival) -> str:
    """Return a name that nobody has: an account of ours is never taken over by its name."""
    wished = _NO_LETTER.sub("-", arrival.name).strip("-")[:60] or "somebody"
    host = urlsplit(arrival.issuer).hostname or "provider"
    tries = (wished, f"{wished}@{host}", f"{wished}@{host}-{digest(arrival.subject).hex()[:8]}")
    return next((name for name in tries if find_person(connection, name) is None), tries[-1])
