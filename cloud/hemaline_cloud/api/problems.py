"""Every error as `application/problem+json` (RFC 9457), or as a page where a person asked."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from hemaline_cloud.database.erasures import ErasedRow
from hemaline_shared.errors import PermanentError, TransientError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = "2"


OF_ANY_REQUEST = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""What may answer any request, whatever it asks."""

UNREADABLE_BODY = (
    "The body cannot be read: it must be JSON in UTF-8, and not nested more deeply than needed."
)


class Problem(BaseModel):
    """What went wrong, for machines (`reason`) and for people (`detail`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:hemaline:problem:unknown-slide",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no slide 0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f.",
                    "reason": "unknown-slide",
                }
            ]
        }
    )

    type: str = Field(description="`urn:hemaline:problem:` and the reason.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What is wrong, in a sentence.")
    reason: str = Field(description="A stable word for programs and metrics.")
    errors: list[dict[str, str]] = Field(
        default=[], description="Each part at fault (`where`) and its fault."
    )


class ProblemError(Exception):
    """A request that ends with a problem; raised by routes.

    Attributes:
        status: The HTTP status.
        reason: A stable kebab-case word.
        errors: Each part that is at fault (`where`), and its fault.
    """

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.errors = errors
        self.headers = headers


def not_found(kind: str, name: object) -> ProblemError:
    """Say that nothing of this kind has this name."""
    reason = f"unknown-{kind.replace(' ', '-')}"
    return ProblemError(HTTPStatus.NOT_FOUND, reason, f"There is no {kind} {name}.")


def erased(kind: str, row: ErasedRow) -> ProblemError:
    """Say that what had this name was erased."""
    told = f"This {kind} was erased on {row.at:%Y-%m-%d} by {row.by_name}. The audit knows why."
    return ProblemError(HTTPStatus.GONE, "erased", told)


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the problems that an operation can answer."""
    schema = Problem.model_json_schema()
    content = {MEDIA_TYPE: {"schema": schema, "example": schema["examples"][0]}}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    """Answer what the app's routes raise as problems."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(TransientError, _on_transient)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(PermanentError, _on_permanent)


def _on_disconnect(_request: Request, _error: Exception) -> Response:
    """Whoever hung up before their request was whole gets no answer, and is no defect."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    if error.status == HTTPStatus.UNAUTHORIZED and request.method == "GET" and wants_page(request):
        return to_log_in(request, again=error.reason == "log-in-again")
    return answer(
        request,
        error.status,
        error.reason,
        str(error),
        headers=error.headers,
        errors=error.errors,
    )


def wants_page(request: Request) -> bool:
    """Whether a person asks, who reads pages."""
    return "text/html" in request.headers.get("accept", "")


def to_log_in(request: Request, *, again: bool) -> Response:
    """Send a person to the log-in, which comes back to this page."""
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = urlencode({"return_to": address} | ({"again": "1"} if again else {}))
    return RedirectResponse(f"/log-in?{query}", HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status == HTTPStatus.BAD_REQUEST:  # raised by the framework alone, for a body's bytes
        invalid = HTTPStatus.UNPROCESSABLE_ENTITY
        return answer(request, invalid, "invalid-request", UNREADABLE_BODY)
    reason = status.phrase.lower().replace(" ", "-")
    detail = f"{request.method} {request.url.path}: {status.description or status.phrase}."
    return answer(request, status, reason, detail, headers=error.headers)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in problem["loc"]), "fault": problem["msg"]}
        for problem in error.errors()
    ]
    detail = "; ".join(f"{problem['where']}: {problem['fault']}" for problem in errors)
    return answer(
        request, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, errors=errors
    )


def _on_transient(request: Request, error: Exception) -> Response:
    assert isinstance(error, TransientError)
    logger.warning("%s %s: %s", request.method, request.url.path, error)
    return answer(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        error.reason,
        _public_detail(error.reason),
        headers={"Retry-After": _RETRY_AFTER_S},
    )


def _on_permanent(request: Request, error: Exception) -> Response:
    assert isinstance(error, PermanentError)
    logger.error("%s %s: %s", request.method, request.url.path, error)
    detail = f"What is stored cannot be served: {error.reason}. The server's log says more."
    return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, error.reason, detail)


def on_fault(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw; the cause goes to the log, not to the reader."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = "This is a fault in Hemaline. The server's log says where."
    return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail)


def _public_detail(reason: str) -> str:
    """Name the part that is away; addresses and names of it stay in the log."""
    if reason == "database-not-migrated":
        return "The database is not set up yet. Run `hemaline-cloud migrate`."
    part = "database" if reason.startswith("database") else "image store"
    return f"The {part} does not answer. Nothing is lost; try again in a moment."


def answer(
    request: Request,
    status: HTTPStatus,
    reason: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """Return a problem as this request wants it, as JSON or as a page."""
    problem = Problem(
        type=f"urn:hemaline:problem:{reason}",
        title=status.phrase,
        status=status,
        detail=detail,
        reason=reason,
        errors=errors or [],
    )
    all_headers = {**(headers or {}), "Cache-Control": "no-store"}
    if wants_page(request):
        return _page(request, problem, all_headers)
    body = problem.model_dump(exclude_defaults=True)
    return JSONResponse(body, status, all_headers, MEDIA_TYPE)


def _page(request: Request, problem: Problem, headers: dict[str, str]) -> Response:
    response: Response = request.app.state.templates.TemplateResponse(
        request, "problem.html", {"problem": problem}, problem.status, headers
    )
    return response
