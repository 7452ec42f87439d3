"""How FHIR answers: resources checked against R4's models, bundles of them, outcomes of errors."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fhir.resources.R4B import get_fhir_model_class
from starlette.exceptions import HTTPException

from hemaline_cloud.api.caching import REVALIDATE, tagged, unchanged
from hemaline_cloud.api.fhir.resources import Resource
from hemaline_cloud.api.problems import UNREADABLE_BODY, ProblemError

MEDIA_TYPE = "application/fhir+json"
ROOT = "/fhir/R4"
_PROBLEMS = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.NOT_ACCEPTABLE: "not-supported",
    HTTPStatus.UNAUTHORIZED: "login",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
}


class FhirRoute(APIRoute):
    """Tells every refusal as an OperationOutcome: a FHIR client reads nothing else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        answer = super().get_route_handler()

        async def answer_in_fhir(request: Request) -> Response:
            try:
                return await answer(request)
            except ProblemError as problem:
                return _outcome(problem.status, str(problem), problem.headers)
            except RequestValidationError as error:
                parts = [".".join(map(str, one["loc"][1:])) for one in error.errors()]
                detail = f"These parts cannot be read: {', '.join(parts)}."
                return _outcome(HTTPStatus.BAD_REQUEST, detail)
            except HTTPException as error:  # of the framework, while it reads the body
                status = HTTPStatus(error.status_code)
                unreadable = status == HTTPStatus.BAD_REQUEST
                return _outcome(status, UNREADABLE_BODY if unreadable else status.description)

        return answer_in_fhir


def refuses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of refusals, which FHIR tells as an OperationOutcome."""
    issue = {"severity": "error", "code": "not-found", "diagnostics": "There is no report x."}
    content = {MEDIA_TYPE: {"example": {"resourceType": "OperationOutcome", "issue": [issue]}}}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


def refuse_what_is_unknown(request: Request, known: Iterable[str]) -> None:
    """Refuse a search with a parameter that we would have to ignore: it would find too much.

    Raises:
        ProblemError: 400 `unknown-parameter`, or 406 for a format that is not JSON.
    """
    wanted = request.query_params.get("_format", "json")
    if wanted not in {"json", "application/json", MEDIA_TYPE}:
        raise ProblemError(
            HTTPStatus.NOT_ACCEPTABLE, "unknown-format", "Hemaline answers in JSON only."
        )
    unknown = set(request.query_params) - {"_format", *known}
    if unknown:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "unknown-parameter",
            f"Hemaline does not search by {', '.join(sorted(unknown))}; it does by "
            f"{', '.join(sorted(known))}.",
        )


def answer(request: Request, resource: Resource) -> Response:
    """Answer one resource; its ETag is its version, where it has one."""
    response = _response(HTTPStatus.OK, resource)
    version = resource.get("meta", {}).get("versionId")
    if version is None:
        return response
    etag = f'W/"{version}"'
    return unchanged(request, etag, REVALIDATE) or tagged(response, etag, REVALIDATE)


def answer_search(
    request: Request, resources: Iterable[Resource], cursor: str | None = None
) -> Response:
    """Answer what a search found; `cursor` says where the next page begins."""
    base = f"{str(request.base_url).rstrip('/')}{ROOT}"
    links = [{"relation": "self", "url": str(request.url)}]
    if cursor:
        query = {**request.query_params, "cursor": cursor}
        links.append({"relation": "next", "url": f"{request.url.replace(query=urlencode(query))}"})
    entries = [
        {
            "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": "match"},
        }
        for resource in resources
    ]
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "link": links}
    if not cursor and "cursor" not in request.query_params:
        bundle["total"] = len(entries)
    return _response(HTTPStatus.OK, bundle | ({"entry": entries} if entries else {}))


def answer_created(request: Request, kind: str, name: str, *, new: bool) -> Response:
    """Answer what was sent: where it is now, and nothing of it."""
    told = "It is kept now." if new else "It was kept already."
    status = HTTPStatus.CREATED if new else HTTPStatus.OK
    issue = {"severity": "information", "code": "informational", "diagnostics": told}
    response = _response(status, {"resourceType": "OperationOutcome", "issue": [issue]})
    response.headers["Location"] = f"{str(request.base_url).rstrip('/')}{ROOT}/{kind}/{name}"
    return response


def _outcome(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    # A name that was asked for stands in it: FHIR's texts hold no control characters.
    told = "".join(letter if letter.isprintable() else "\ufffd" for letter in detail)
    issue = {"severity": "error", "code": _PROBLEMS.get(status, "invalid"), "diagnostics": told}
    response = _response(status, {"resourceType": "OperationOutcome", "issue": [issue]})
    response.headers.update(headers or {})
    return response


def _response(status: HTTPStatus, resource: Resource) -> Response:
    # A resource of a wrong shape is our fault, and is seen here and not by who reads it.
    checked = get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return Response(checked.model_dump_json(), status, media_type=MEDIA_TYPE)
