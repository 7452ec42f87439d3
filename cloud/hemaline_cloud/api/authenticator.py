"""Whose cookie or token a secret is: asked of the database for each request, so ended at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Engine

from hemaline_cloud.api.rate_limits import RateLimit
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.people import EVERY_SITE
from hemaline_cloud.database.sessions import Found, find_session, find_token, touch_session
from hemaline_cloud.people.rights import Right, has_right
from hemaline_cloud.people.secrets import csrf_token, digest
from hemaline_cloud.principal import ALL_SITES, Principal, Role


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who asks, and how they have shown it.

    Attributes:
        principal: Who, with all roles and sites together.
        grants: Which role at which site; `*` is every site.
        full_name: For people to read.
        scopes: What a token is good for; None: a session, good for all that its person may do.
        authenticated_at: When the person last logged in; None: a token.
        csrf: What each change must carry; None: a token, which no browser sends by itself.
        secret_sha256: By what the database knows the session or token.
        still_good: Asks the database again, for streams that last.
    """

    principal: Principal
    grants: frozenset[tuple[str, str]]
    full_name: str
    scopes: frozenset[str] | None
    authenticated_at: datetime | None
    csrf: str | None
    secret_sha256: bytes
    still_good: Callable[[], bool]

    def may(self, right: Right, site: str) -> bool:
        """Whether one of the roles at this very site has the right."""
        here = {role for role, where in self.grants if where in {site, EVERY_SITE}}
        return has_right(here, right)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Finds whose a secret is.

    Attributes:
        engine: Connections that may write: when a session was last used is written down.
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
            row.found.full_name,
            None,
            row.authenticated_at,
            csrf_token(secret),
            token_sha256,
            lambda: self.of_session(secret, in_use=False) is not None,
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
            found.full_name,
            frozenset(scopes),
            None,
            None,
            token_sha256,
            lambda: self.of_token(secret) is not None,
        )


def _principal(found: Found) -> Principal:
    roles = cast("frozenset[Role]", frozenset(role for role, _ in found.grants))
    sites = frozenset(site for _, site in found.grants)
    return Principal(
        str(found.person_id),
        found.name,
        found.kind,
        roles,
        ALL_SITES if EVERY_SITE in sites else sites,
    )
