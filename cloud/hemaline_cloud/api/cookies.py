"""The session's cookie, and addresses that a log-in may come back to."""

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import Response

from hemaline_cloud.api.authentication import COOKIE
from hemaline_cloud.settings import ApiSettings


def set_session_cookie(request: Request, response: Response, secret: str) -> None:
    """Let the browser show the session from now on; it forgets it when it is closed."""
    response.set_cookie(
        COOKIE, secret, httponly=True, samesite="lax", secure=by_tls(request), path="/"
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
