"""`/account`: what somebody may do here, password and second factor, and break-glass."""

import logging
from http import HTTPStatus
from math import ceil
from typing import Annotated, Any
from uuid import UUID

import segno
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from prometheus_client import Counter

from hemaline_cloud.api.authentication import (
    LOG_IN,
    RecentlyAuthenticated,
    authentication_of,
    requires,
)
from hemaline_cloud.api.caching import NO_STORE
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.cookies import no_store
from hemaline_cloud.api.forms import form_of
from hemaline_cloud.api.words import duration
from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.break_glass import break_glass, list_broken_glass
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.people import (
    find_account,
    grants_of,
    list_people,
    set_totp,
    use_totp_step,
)
from hemaline_cloud.database.sessions import end_other_sessions
from hemaline_cloud.people.log_in import RefusedLogInError
from hemaline_cloud.people.passwords import LONGEST, SHORTEST
from hemaline_cloud.people.rights import ROLES_WITH, Right
from hemaline_cloud.people.totp import address_of, is_totp_secret, new_totp_secret, step_of_code
from hemaline_cloud.principal import Principal
from hemaline_shared.topics import is_site_name

logger = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)

_BROKEN = Counter("hemaline_break_glass_total", "Times that somebody broke the glass.", ("site",))
_SHORTEST_REASON = 10
_LONGEST_REASON = 500
_NOTICE_DAYS = 30
_SENTENCES = {
    "second-factor": "From now on a code of your app is asked for at each log-in.",
    "no-second-factor": "The second factor is off.",
    "others": "You are logged out everywhere else.",
    "glass": "You may see this site for one hour. It is written down, with your reason.",
}
_PASSWORD_REFUSALS = {
    "wrong-password": "Your present password is another.",
    "bad-length": f"A new password has {SHORTEST} to {LONGEST} letters: a few words.",
    "contains-name": "A new password must not hold the name that you log in with.",
}


@router.get("/account")
def account(context: Context, request: Request, said: str | None = None) -> Response:
    """Who you are, and what you may do."""
    return _page(context, request, told=_SENTENCES.get(said or ""))


@router.post("/account/second-factor")
async def second_factor(
    context: Context, request: Request, principal: RecentlyAuthenticated
) -> Response:
    """Show a new secret; or switch the second factor on, when a code of it is right, or off."""
    form = await form_of(request)
    secret, code = form.get("secret", ""), form.get("code", "")
    if form.get("act") == "off":
        await run_in_threadpool(_switch, context, principal, None, None)
        return _back("no-second-factor")
    if not is_totp_secret(secret):
        return await run_in_threadpool(_page, context, request, proposed=new_totp_secret())
    step = step_of_code(secret, code)
    if step is None:
        told = "This code is wrong. Wait for the next one and type that."
        return await run_in_threadpool(
            _page, context, request, proposed=secret, told=told, failed=True
        )
    await run_in_threadpool(_switch, context, principal, secret, step)
    return _back("second-factor")


@router.post("/account/password")
async def password(context: Context, request: Request) -> Response:
    """Take the new password that somebody chose; they log in with it at once."""
    context.log_in_limit.take(request.client.host if request.client else "unknown")
    form = await form_of(request)
    present, new = form.get("present", ""), form.get("new", "")
    told = None if new == form.get("repeated") else "The two new passwords are not the same."
    if told is None:
        name = authentication_of(request).name
        try:
            async with context.hashing.slot():
                await run_in_threadpool(context.local_log_in.change_password, name, present, new)
        except RefusedLogInError as refusal:
            wait = duration(ceil(refusal.wait_s))
            told = _PASSWORD_REFUSALS.get(
                refusal.reason, f"Too many wrong attempts. Try again in {wait}."
            )
    if told:
        return await run_in_threadpool(_page, context, request, told=told, failed=True)
    to = f"{LOG_IN}?said=password-changed"
    return RedirectResponse(to, HTTPStatus.SEE_OTHER, no_store())


@router.post("/account/end-other-sessions")
async def end_others(context: Context, request: Request) -> Response:
    """Log out everywhere else."""
    found = authentication_of(request)

    def end() -> None:
        with unit_of_work(context.authenticator.engine) as connection:
            person_id = UUID(found.principal.id)
            end_other_sessions(connection, person_id, found.secret_sha256)
            event = Event("end-other-sessions", "person", person_id)
            record_event(connection, found.principal, event)

    await run_in_threadpool(end)
    return _back("others")


@router.post("/account/break-glass")
async def open_site(context: Context, request: Request) -> Response:
    """Let somebody who treats patients see another site for an hour; everybody hears of it."""
    form = await form_of(request)
    site, reason = form.get("site", "").strip(), form.get("reason", "").strip()
    principal = authentication_of(request).principal
    roles = frozenset(principal.roles & ROLES_WITH[Right.REVIEW])
    told = None
    if not roles:
        told = "Only technologists and haematologists may break the glass."
    elif not is_site_name(site):
        told = "Name the site as the lists do: small letters, digits, hyphens."
    elif not _SHORTEST_REASON <= len(reason) <= _LONGEST_REASON:
        told = f"Say why in {_SHORTEST_REASON} to {_LONGEST_REASON} letters: others will read it."
    if told:
        return await run_in_threadpool(_page, context, request, told=told, failed=True)

    def open_it() -> None:
        with unit_of_work(context.authenticator.engine) as connection:
            break_glass(connection, UUID(principal.id), roles, site, reason)
            record_event(connection, principal, Event("break-glass", "site", None, reason, site))

    await run_in_threadpool(open_it)
    _BROKEN.labels(site).inc()
    logger.warning("%s broke the glass of site %s", authentication_of(request).name, site)
    return _back("glass")


@router.get("/people")
def people(
    context: Context,
    request: Request,
    _principal: Annotated[Principal, Depends(requires(Right.ADMINISTER))],
) -> Response:
    """Who may do what, and who broke the glass lately."""
    with unit_of_work(context.authenticator.engine) as connection:
        everybody = [
            (person, grants_of(connection, person.person_id))
            for person in list_people(connection, ("active", "paused"))
        ]
        broken = list_broken_glass(connection, _NOTICE_DAYS)
    values = {"everybody": everybody, "broken": broken, "days": _NOTICE_DAYS}
    return _render(request, "people.html", values)


def _page(
    context: Context,
    request: Request,
    *,
    proposed: str | None = None,
    told: str | None = None,
    failed: bool = False,
) -> Response:
    found = authentication_of(request)
    with unit_of_work(context.authenticator.engine) as connection:
        local = find_account(connection, found.name)
        grants = grants_of(connection, UUID(found.principal.id))
    picture = None
    if proposed:
        code = segno.make(address_of(proposed, found.name), error="m")
        picture = code.svg_inline(scale=4, light="#fff", dark="#000", svgclass="qr", lineclass=None)
    values = {
        "grants": grants,
        "local": local,
        "proposed": proposed,
        "picture": picture,
        "told": told,
        "failed": failed,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if failed else HTTPStatus.OK
    return _render(request, "account.html", values, status)


def _switch(context: Context, principal: Principal, secret: str | None, step: int | None) -> None:
    person_id = UUID(principal.id)
    with unit_of_work(context.authenticator.engine) as connection:
        set_totp(connection, person_id, secret)
        act = "begin-second-factor" if secret else "end-second-factor"
        record_event(connection, principal, Event(act, "person", person_id))
        if step is not None:
            use_totp_step(connection, person_id, step)


def _back(said: str) -> Response:
    return RedirectResponse(f"/account?said={said}", HTTPStatus.SEE_OTHER, no_store())


def _render(
    request: Request, template: str, values: dict[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> Response:
    response: Response = request.app.state.templates.TemplateResponse(
        request, template, values, status, {"Cache-Control": NO_STORE}
    )
    return response
