"""Whose cookie or token a secret is: asked of the database for each request, so ended at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import Engine

from hemaline_cloud.api.rate_limits import RateLimit
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.people import EVERY_SITE
from hemaline_cloud.database.sessions import Found, find_session, find_token, touch_session
from hemaline_cloud.people.secrets import csrf_token, digest
from hemaline_cloud.principal import ALL_SITES, Principal, Role

RECENT = timedelta(minutes=5)
"""For so long after a log-in somebody may sign."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who asks, and how they have shown it.

    Attributes:
        principal: Who, with all roles and sites together.
        grants: Which role at which site; `*` is every site.
        name: By which they log in; the principal's is for people to read.
        scopes: What a token is good for; None: a session, good for all that its person may do.
        authenticated_at: When the person last logged in; None: a token.
        csrf: What each change must carry; None: a token, which no browser sends by itself.
        secret_sha256: By what the database knows the session or token.
        again: Asks the database again, for streams that last; None: it has ended.
    """

    principal: Principal
    grants: frozenset[tuple[str, str]]
    name: str
    scopes: frozenset[str] | None
    authenticated_at: datetime | None
    csrf: str | None
    secret_sha256: bytes
    again: Callable[[], "Authentication | None"]

    def roles_at(self, site: str) -> set[str]:
        """Return the roles that count at a site: one at another site does not."""
        return {role for role, where in self.grants if where in {site, EVERY_SITE}}

    @property
    def is_recent(self) -> bool:
        """Whether a person has shown within minutes that it is they; a token never has."""
        since = self.authenticated_at
        return since is not None and datetime.now(UTC) - since <= RECENT


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Finds whose a secret is.

    Attributes:
        engine: Connections of the principal that keeps people and sessions; they may write.
        idle_s: So long may a session be unused.
        limit: Of the requests of one person or service.
    """

    engine: Engine
    idle_s: int
    limit: RateLimit

    def of_session(self, secret: str, *, in_use: bool = True) -> Authentication | None:
        """Return who has this cookie, or None: the session has ended.

        Args:
            secret: The cookie's value.
            in_use: Whether a person asks, and no page that refreshes itself.
        """
        token_sha256 = digest(secret)
        with unit_of_work(self.engine) as connection:
            row = find_session(connection, token_sha256, self.idle_s)
            if row is None:
                return None
            if row.stale and in_use:
                touch_session(connection, token_sha256)
        return Authentication(
            _principal(row.found),
            row.found.grants,
            row.found.name,
            None,
            row.authenticated_at,
            csrf_token(secret),
            token_sha256,
            lambda: self.of_session(secret, in_use=False),
        )

    def of_token(self, secret: str) -> Authentication | None:
        """Return whose token this is, or None: it has ended."""
        token_sha256 = digest(secret)
        with unit_of_work(self.engine) as connection:
            row = find_token(connection, token_sha256)
        if row is None:
            return None
        found, scopes = row
        return Authentication(
            _principal(found),
            found.grants,
            found.name,
            frozenset(scopes),
            None,
            None,
            token_sha256,
            lambda: self.of_token(secret),
        )


def _principal(found: Found) -> Principal:
    roles = cast("frozenset[Role]", frozenset(role for role, _ in found.grants))
    sites = frozenset(site for _, site in found.grants)
    return Principal(
        str(found.person_id),
        found.full_name,
        found.kind,
        roles,
        ALL_SITES if EVERY_SITE in sites else sites,
    )
