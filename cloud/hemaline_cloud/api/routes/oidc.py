"""`/log-in/oidc`: to the identity provider, and back from it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hemaline_cloud.api.authentication import LOG_IN
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.cookies import (
    no_store,
    safe_address,
    set_secret_cookie,
    set_session_cookie,
)
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.people.oidc_log_in import OidcLogIn
from hemaline_cloud.people.secrets import new_secret
from hemaline_shared.errors import PermanentError, TransientError

_BROWSER_COOKIE = "hemaline_oidc"
_BROWSER_S = 3600
_SENTENCES = {
    "log-in-unknown": "This log-in was used already, took too long, or began in another "
    "browser. Log in again: open any page.",
    "account-closed": "Your account here is closed. Ask an administrator.",
    "clocks-differ": "The clocks of the log-in service and of this server differ too much. Tell "
    "your administrator.",
}
_OTHERWISE = "The log-in service gave an answer that does not hold. Tell your administrator."

_Text = Annotated[str | None, Query(max_length=4000)]


def oidc_router(log_in: OidcLogIn) -> APIRouter:
    """Return the routes; only where a provider is set are there any."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"{LOG_IN}/oidc")
    async def depart(
        context: Context, request: Request, return_to: _Text = None, *, again: bool = False
    ) -> Response:
        """Send the browser to the provider."""
        context.log_in_limit.take(request.client.host if request.client else "unknown")
        # One cookie for all tabs: each log-in that sets out has its own row.
        browser = request.cookies.get(_BROWSER_COOKIE) or new_secret()
        try:
            address = await run_in_threadpool(
                log_in.depart, browser, safe_address(return_to), again=again
            )
        except (TransientError, PermanentError) as error:
            raise _problem(error) from error
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER, no_store())
        set_secret_cookie(
            request, response, _BROWSER_COOKIE, browser, path=LOG_IN, max_age_s=_BROWSER_S
        )
        return response

    @router.get(f"{LOG_IN}/oidc/callback")
    async def arrive(
        request: Request, state: _Text = None, code: _Text = None, error: _Text = None
    ) -> Response:
        """Take whoever comes back from the provider."""
        if error:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "log-in-refused",
                "The log-in service did not let you in. Log in again: open any page.",
            )
        browser = request.cookies.get(_BROWSER_COOKIE, "")
        try:
            welcome = await run_in_threadpool(log_in.arrive, browser, state or "", code or "")
        except (TransientError, PermanentError) as failed:
            raise _problem(failed) from failed
        response = RedirectResponse(welcome.return_to, HTTPStatus.SEE_OTHER, no_store())
        set_session_cookie(request, response, welcome.secret)
        return response

    return router


def _problem(error: TransientError | PermanentError) -> ProblemError:
    if error.reason == "identity-provider-away":
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            error.reason,
            "The log-in service does not answer. Try again in a moment; an account of this system "
            "works meanwhile.",
            headers={"Retry-After": "5"},
        )
    if isinstance(error, TransientError):
        raise error
    status = HTTPStatus.FORBIDDEN if error.reason == "account-closed" else HTTPStatus.BAD_REQUEST
    return ProblemError(status, error.reason, _SENTENCES.get(error.reason, _OTHERWISE))
