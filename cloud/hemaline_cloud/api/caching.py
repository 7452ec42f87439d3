"""ETags: a reader that has the newest version is told so, and gets no body."""

from fastapi import Request
from fastapi.responses import Response

NO_STORE = "no-store"
"""Of images and pages: a shared workstation's browser keeps nothing of whoever left."""
REVALIDATE = "private, no-cache"


def unchanged(request: Request, etag: str, cache_control: str) -> Response | None:
    """Return a 304 if the reader has this version, else None."""
    known = request.headers.get("if-none-match", "")
    candidates = {part.strip().removeprefix("W/") for part in known.split(",")}
    if etag.removeprefix("W/") in candidates or "*" in candidates:
        return Response(status_code=304, headers=_headers(etag, cache_control))
    return None


def tagged(response: Response, etag: str, cache_control: str) -> Response:
    """Add the ETag and how long it holds."""
    response.headers.update(_headers(etag, cache_control))
    return response


def _headers(etag: str, cache_control: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": cache_control}
