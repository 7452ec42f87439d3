"""The cookies of sessions and log-ins, and addresses that a log-in may come back to."""

from collections.abc import Mapping
from typing import Literal

from fastapi import Request
from fastapi.responses import Response

from hemaline_cloud.api.authentication import COOKIE
from hemaline_cloud.settings import ApiSettings


def set_session_cookie(request: Request, response: Response, secret: str) -> None:
    """Let the browser show the session from now on; it forgets it when it is closed."""
    set_secret_cookie(request, response, COOKIE, secret)


def set_secret_cookie(
    request: Request,
    response: Response,
    name: str,
    secret: str,
    *,
    path: str = "/",
    samesite: Literal["lax", "strict"] = "lax",
    max_age_s: int | None = None,
) -> None:
    """Let the browser show a secret that no script reads, by TLS alone where it came so."""
    response.set_cookie(
        name,
        secret,
        max_age=max_age_s,
        httponly=True,
        samesite=samesite,
        secure=by_tls(request),
        path=path,
    )


def by_tls(request: Request) -> bool:
    """Whether the browser came by TLS, perhaps to a proxy before us."""
    settings: ApiSettings = request.app.state.settings
    public = settings.public_url
    return request.url.scheme == "https" or (public is not None and public.scheme == "https")


def safe_address(address: str | None) -> str:
    """Return a page of ours to come back to; anything else, another host's too, is the worklist."""
    if not address or not address.startswith("/") or address.startswith(("//", "/\\")):
        return "/"
    if any(letter < "!" for letter in address) or address.startswith(("/log-in", "/log-out")):
        return "/"
    return address


def no_store(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return headers of a page that no browser keeps."""
    return {"Cache-Control": "no-store", **(extra or {})}
