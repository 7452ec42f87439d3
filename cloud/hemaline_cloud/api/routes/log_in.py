"""`/log-in` and `/log-out`: the pages before and after everything else."""

from http import HTTPStatus
from math import ceil
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hemaline_cloud.api.authentication import COOKIE, CSRF_FIELD, LOG_IN, authentication_of
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.cookies import (
    no_store,
    safe_address,
    set_secret_cookie,
    set_session_cookie,
)
from hemaline_cloud.api.forms import form_of
from hemaline_cloud.api.words import duration
from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.sessions import end_session
from hemaline_cloud.people.log_in import Credentials, RefusedLogInError
from hemaline_cloud.people.secrets import csrf_token, digest, new_secret, same
from hemaline_cloud.principal import Principal

router = APIRouter(include_in_schema=False)

_FORM_COOKIE = "hemaline_log_in"
"""Binds the form to the browser that it was sent to: nobody is logged in as another unseen."""
_FORM_S = 3600
_SENTENCES = {
    "wrong-password": "Name or password is wrong.",
    "wrong-code": "This code is wrong or was used already. Wait for the next one.",
    "form-too-old": "This page was open for too long. Log in now, it is a new one.",
    "password-changed": "Your password is changed. Log in with the new one.",
    "logged-out": "You are logged out. Pages and images of this session are gone from the browser.",
}
_STATUSES = {"locked-out": HTTPStatus.TOO_MANY_REQUESTS, "form-too-old": HTTPStatus.FORBIDDEN}
_AnAddress = Annotated[str | None, Query(max_length=2000)]


@router.get(LOG_IN)
async def log_in_page(
    context: Context,
    request: Request,
    return_to: _AnAddress = None,
    said: str | None = None,
    *,
    again: bool = False,
) -> Response:
    """The form; whoever is logged in already goes on, unless they must show it again."""
    secret = request.cookies.get(COOKIE, "")
    known = await run_in_threadpool(context.authenticator.of_session, secret) if secret else None
    if known and not again:
        return RedirectResponse(safe_address(return_to), HTTPStatus.SEE_OTHER, no_store())
    values = {"name": known.name if known else "", "again": again and bool(known)}
    told = _SENTENCES.get(said or "")
    return _page(request, values | {"return_to": safe_address(return_to), "told": told})


@router.post(LOG_IN)
async def log_in(context: Context, request: Request) -> Response:
    """Look at name and password, and perhaps a code; then back to where they wanted to go."""
    address = request.client.host if request.client else "unknown"
    context.log_in_limit.take(address)
    form = await form_of(request)
    name, return_to = form.get("name", "")[:200], safe_address(form.get("return_to"))
    values = {"name": name, "return_to": return_to, "again": form.get("again") == "1"}
    cookie = request.cookies.get(_FORM_COOKIE, "")
    if not cookie or not same(form.get(CSRF_FIELD, ""), csrf_token(cookie)):
        return _refusal(request, values, RefusedLogInError("form-too-old"))
    given = Credentials(name.strip(), form.get("password", ""), form.get("code", ""))
    try:
        async with context.hashing.slot():
            secret = await run_in_threadpool(context.local_log_in, given)
    except RefusedLogInError as refusal:
        return _refusal(request, values, refusal)
    await _end_present_session(context, request)
    response = RedirectResponse(return_to, HTTPStatus.SEE_OTHER, no_store())
    set_session_cookie(request, response, secret)
    return response


@router.post("/log-out")
async def log_out(context: Context, request: Request) -> Response:
    """End the session, here and in the browser: what it kept of our pages and images goes."""
    await _end_present_session(context, request, authentication_of(request).principal)
    response = RedirectResponse(f"{LOG_IN}?said=logged-out", HTTPStatus.SEE_OTHER, no_store())
    response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    response.delete_cookie(COOKIE, path="/")
    return response


async def _end_present_session(
    context: Context, request: Request, who: Principal | None = None
) -> None:
    """End the cookie's session, and put on record who logged out of it."""
    secret = request.cookies.get(COOKIE)
    if not secret:
        return

    def end() -> None:
        with unit_of_work(context.authenticator.engine) as connection:
            end_session(connection, digest(secret))
            if who:
                record_event(connection, who, Event("log-out", "person", UUID(who.id)))

    await run_in_threadpool(end)


def _refusal(request: Request, values: dict[str, object], refusal: RefusedLogInError) -> Response:
    wait_s = ceil(refusal.wait_s)
    told = _SENTENCES.get(refusal.reason)
    if refusal.reason == "locked-out":
        told = f"Too many wrong attempts. Try again in {duration(wait_s)}."
    return _page(
        request,
        values | {"told": told, "code": refusal.reason in {"code-needed", "wrong-code"}},
        _STATUSES.get(refusal.reason, HTTPStatus.UNAUTHORIZED),
        {"Retry-After": str(wait_s)} if wait_s else {},
    )


def _page(
    request: Request,
    values: dict[str, object],
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    cookie = request.cookies.get(_FORM_COOKIE) or new_secret()
    filled = {"code": False, "failed": status != HTTPStatus.OK, **values}
    response: Response = request.app.state.templates.TemplateResponse(
        request,
        "log-in.html",
        filled | {"csrf": csrf_token(cookie), "oidc": request.app.state.settings.oidc},
        status,
        no_store(headers),
    )
    set_secret_cookie(request, response, _FORM_COOKIE, cookie, max_age_s=_FORM_S, samesite="strict")
    return response
