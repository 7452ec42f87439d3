"""What a form of a page sent: read once, in bounds."""

from http import HTTPStatus
from urllib.parse import parse_qsl

from fastapi import Request

from hemaline_cloud.api.problems import ProblemError

_MOST_BYTES = 64 * 1024
_MOST_FIELDS = 100
_KIND = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a request's form; empty where it sent none.

    Raises:
        ProblemError: 413 or 422.
    """
    known: dict[str, str] | None = getattr(request.state, "form", None)
    if known is not None:
        return known
    form: dict[str, str] = {}
    if request.headers.get("content-type", "").partition(";")[0].strip() == _KIND:
        form = _fields(await _body(request))
    request.state.form = form
    return form


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", "This is no form that can be read."
        ) from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise ProblemError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "form-too-large",
                f"A form has {_MOST_BYTES // 1024} KiB at most.",
            )
    return bytes(body)
