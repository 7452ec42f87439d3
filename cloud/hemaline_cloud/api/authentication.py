"""Who asks: every request but the few public ones shows a session's cookie or an API token."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from hemaline_cloud.api.authenticator import Authentication, Authenticator
from hemaline_cloud.api.context import ApiContext
from hemaline_cloud.api.forms import form_of
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.api.refusals import refuse_unless_recent, refuse_without
from hemaline_cloud.people.rights import Right
from hemaline_cloud.people.secrets import same
from hemaline_cloud.principal import Principal

COOKIE = "hemaline_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
REFRESH_HEADER = "X-Refresh"
"""Sent by pages that refresh themselves: nobody need sit before them."""
LOG_IN = "/log-in"

PUBLIC = frozenset(
    {
        "/healthz",
        "/readyz",
        LOG_IN,
        f"{LOG_IN}/oidc",
        f"{LOG_IN}/oidc/callback",
        "/uploads/{path:path}",  # its address is signed
    }
)
"""The routes that anybody may ask; static files are no routes."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_SEARCHES = frozenset({"/api/v1/slides/search"})
"""They only read; their words are in the body, for an address is written in logs."""


async def authenticate(request: Request) -> None:
    """Refuse whoever does not say who they are; every route depends on it.

    Raises:
        ProblemError: 401, 403 or 429.
    """
    if request.scope["route"].path in PUBLIC:
        return
    context: ApiContext = request.app.state.context
    found = await _authentication(request, context.authenticator)
    if found is None:
        raise _unknown()
    context.authenticator.limit.take(found.principal.id)
    request.state.authentication = found
    _check_scope(request, found)
    if found.csrf is not None and request.method not in _READING:
        await _check_csrf(request, found.csrf)
    if not found.grants and request.scope["route"].path not in _WITHOUT_ROLE:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "no-role",
            f"{found.principal.name}, you have no role here yet. Ask an administrator for one.",
        )


_WITHOUT_ROLE = frozenset({"/log-out", "/account", "/api/v1/session", "/metrics"})
"""What somebody without a role may ask; the last has a rule of its own."""


def authentication_of(request: Request) -> Authentication:
    """Return who asks and how they have shown it, on any route that is not public."""
    found: Authentication = request.state.authentication
    return found


def known_authentication(request: Request) -> Authentication | None:
    """Return who asks, or None on a page for anybody."""
    return getattr(request.state, "authentication", None)


def recently_authenticated(request: Request) -> Principal:
    """Return who asks, if they have shown within minutes that it is they.

    Raises:
        ProblemError: As `refuse_unless_recent`.
    """
    found = authentication_of(request)
    refuse_unless_recent(found)
    return found.principal


RecentlyAuthenticated = Annotated[Principal, Depends(recently_authenticated)]


def requires(right: Right) -> Callable[[Request], Principal]:
    """Return a dependency that refuses whoever has this right at no site.

    Where it is about something of one site, `ApiContext.require` asks for the right there.
    """

    def check(request: Request) -> Principal:
        principal = authentication_of(request).principal
        refuse_without(right, principal.roles)
        return principal

    return check


def may_watch(request: Request) -> Principal:
    """Refuse whoever is neither an operator nor a token for watching."""
    found = authentication_of(request)
    if found.scopes is not None and "metrics" in found.scopes:
        return found.principal
    return requires(Right.OPERATE)(request)


async def _authentication(request: Request, known: Authenticator) -> Authentication | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await run_in_threadpool(known.of_token, token.strip())
    secret = request.cookies.get(COOKIE)
    if not secret:
        return None
    in_use = REFRESH_HEADER not in request.headers
    return await run_in_threadpool(known.of_session, secret, in_use=in_use)


def _unknown() -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "not-logged-in",
        "Log in first, or send an API token that has not ended.",
        headers={"WWW-Authenticate": 'Bearer realm="Hemaline"'},
    )


def _check_scope(request: Request, found: Authentication) -> None:
    if found.scopes is None:
        return
    path = request.scope["route"].path
    needed = "read" if request.method in _READING or path in _SEARCHES else "write"
    if path == "/metrics":
        needed = "metrics"
    if needed not in found.scopes:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "scope-missing",
            f"This token lacks the scope `{needed}`; it has: {', '.join(sorted(found.scopes))}.",
        )


async def _check_csrf(request: Request, expected: str) -> None:
    """Refuse a change that another site's page made the browser send."""
    sent = request.headers.get(CSRF_HEADER) or (await form_of(request)).get(CSRF_FIELD, "")
    if not same(sent, expected):
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "csrf-token-wrong",
            "This did not come from a page of this session. Load the page again and repeat it.",
        )
