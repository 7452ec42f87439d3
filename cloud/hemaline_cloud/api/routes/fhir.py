"""`/fhir/R4`: read and search what was found on slides."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import TypeAdapter
from sqlalchemy import Connection

from hemaline_cloud.api.context import ApiContext, Context
from hemaline_cloud.api.fhir import resources
from hemaline_cloud.api.fhir.answers import (
    MEDIA_TYPE,
    ROOT,
    FhirRoute,
    answer,
    answer_search,
    refuse_what_is_unknown,
    refuses,
)
from hemaline_cloud.api.fhir.capability import SEARCHES, capability_statement
from hemaline_cloud.api.fhir.reported import Reported, reported, with_perhaps
from hemaline_cloud.api.fhir.resources import Resource
from hemaline_cloud.api.paging import STORABLE, Cursor, decode_cursor, encode_cursor
from hemaline_cloud.api.problems import erased, not_found
from hemaline_cloud.database.erasures import erased_slide, erased_specimen
from hemaline_cloud.database.reading.devices import list_devices
from hemaline_cloud.database.reading.fields import FieldRow, get_field, list_fields
from hemaline_cloud.database.reading.ledger import list_bundles
from hemaline_cloud.database.reading.slides import (
    SlideKey,
    SlideRow,
    get_slide,
    list_slides,
    slides_called,
    slides_of_specimen,
)
from hemaline_cloud.people.rights import Right

_RESOURCE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {MEDIA_TYPE: {"example": {"resourceType": "Bundle", "type": "searchset"}}},
        "description": "A FHIR R4 resource.",
    }
}
DESCRIBED = _RESOURCE | refuses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""OpenAPI's description of each answer."""

READ = refuses(HTTPStatus.NOT_FOUND, HTTPStatus.GONE) | {
    304: {"description": "The reader has this version."}
}

router = APIRouter(
    prefix=ROOT,
    tags=["fhir"],
    route_class=FhirRoute,
    default_response_class=Response,
    responses=DESCRIBED,
)
_SLIDE_KEY = TypeAdapter(SlideKey)
_ALL = 10_000
_FIELDS_AT_MOST = 1_000

Count = Annotated[int, Query(alias="_count", ge=1, le=100, description="Reports in a page.")]
Name = Annotated[str | None, Query(alias="_id", max_length=64)]
Words = Annotated[str | None, Query(max_length=200, pattern=STORABLE)]


@router.get("/metadata", summary="Say what this FHIR server can do")
def metadata(request: Request) -> Response:
    """The CapabilityStatement."""
    refuse_what_is_unknown(request, ())
    address = f"{str(request.base_url).rstrip('/')}{ROOT}"
    return answer(request, capability_statement(version("hemaline"), address))


@router.get("/DiagnosticReport", summary="Search reports")
def diagnostic_reports(
    context: Context,
    request: Request,
    wanted: Name = None,
    identifier: Words = None,
    specimen: Words = None,
    count: Count = 20,
    cursor: Cursor = None,
) -> Response:
    """Newest first; `identifier` is an accession, with or without its system."""
    _check(request, "DiagnosticReport", "_count", "cursor")
    if wanted is None and identifier is None and specimen is None:
        after = decode_cursor(_SLIDE_KEY, cursor)
        with context.reading() as connection:
            rows = list_slides(connection, limit=count + 1, after=after)
            _shown(context, "report", rows[:count])
            told = list(_reported(context, connection, rows[:count]))
        more = encode_cursor(_SLIDE_KEY, rows[count - 1].key) if len(rows) > count else None
        return answer_search(request, map(resources.diagnostic_report, told), more)
    with context.reading() as connection:
        found = list(_slides(connection, wanted, identifier, specimen))
        _shown(context, "report", found)
        told = list(_reported(context, connection, found))
    return answer_search(request, map(resources.diagnostic_report, told))


@router.get("/DiagnosticReport/{name}", summary="Read a report", responses=READ)
def diagnostic_report(context: Context, request: Request, name: str) -> Response:
    """A report has the id of its slide; `partial` until somebody has signed it."""
    with context.reading() as connection:
        slide = _slide(connection, name)
        _shown(context, "report", [slide])
        (told,) = _reported(context, connection, [slide])
    return answer(request, resources.diagnostic_report(told))


@router.get("/Observation", summary="Search observations of a specimen")
def observations(
    context: Context,
    request: Request,
    wanted: Name = None,
    specimen: Words = None,
    code: Words = None,
) -> Response:
    """Wants `_id` or `specimen`: there are too many to list them all."""
    _check(request, "Observation")
    with context.reading() as connection:
        slides = list(_slides(connection, (wanted or "").partition(".")[0] or None, None, specimen))
        _shown(context, "observation", slides)
        reports = _reported(context, connection, slides)
        told = [with_perhaps(connection, report) for report in reports]
    found = [one for each in told for one in resources.observations(each)]
    found = [one for one in found if wanted in {None, one["id"]} and _has_code(one, code)]
    return answer_search(request, found)


@router.get("/Observation/{name}", summary="Read an observation", responses=READ)
def observation(context: Context, request: Request, name: str) -> Response:
    """Its id is that of its slide, a dot, and what was observed."""
    with context.reading() as connection:
        slide = _slide(connection, name.partition(".")[0])
        _shown(context, "observation", [slide])
        (report,) = _reported(context, connection, [slide])
        told = with_perhaps(connection, report)
    return answer(request, _named(resources.observations(told), "observation", name))


@router.get("/Specimen", summary="Search specimens")
def specimens(context: Context, request: Request, wanted: Name = None) -> Response:
    """By `_id`."""
    _check(request, "Specimen")
    with context.reading() as connection:
        found = list(_slides(connection, None, None, wanted))[:1]
        _shown(context, "specimen", found)
    return answer_search(request, [_specimen(context, one) for one in found])


@router.get("/Specimen/{name}", summary="Read a specimen", responses=READ)
def specimen(context: Context, request: Request, name: str) -> Response:
    """Its subject is told to those alone who may know whose blood it is."""
    with context.reading() as connection:
        found = list(_slides(connection, None, None, name))[:1]
        if not found and (specimen_id := uuid_of(name)):
            gone = erased_specimen(connection, specimen_id)
            if gone:
                raise erased("specimen", gone)
        _shown(context, "specimen", found)
    told = [_specimen(context, one) for one in found]
    return answer(request, _named(told, "specimen", name))


@router.get("/Media", summary="Search the fields of a specimen")
def media(
    context: Context, request: Request, wanted: Name = None, subject: Words = None
) -> Response:
    """In the order of capture, at most 1,000."""
    _check(request, "Media")
    with context.reading() as connection:
        if wanted is not None:
            found = _photo(connection, wanted)
            photos = [found] if found else []
        else:
            photos = [
                (slide, field)
                for slide in _slides(connection, None, None, subject)
                for field in list_fields(connection, slide.slide_id, limit=_FIELDS_AT_MOST)
            ]
        _shown(context, "field", {slide.slide_id: slide for slide, _ in photos}.values())
    base = _base(request)
    return answer_search(request, [resources.media(slide, field, base) for slide, field in photos])


@router.get("/Media/{name}", summary="Read a field of view", responses=READ)
def photo(context: Context, request: Request, name: str) -> Response:
    """The image itself is at its `content.url`."""
    with context.reading() as connection:
        there = _photo(connection, name)
        if there is None:
            raise not_found("media", name)
        slide, field = there
        _shown(context, "field", [slide])
    return answer(request, resources.media(slide, field, _base(request)))


@router.get("/Device", summary="Search model bundles and microscopes")
def devices(context: Context, request: Request, wanted: Name = None) -> Response:
    """All of them, or one."""
    _check(request, "Device")
    with context.reading() as connection:
        found = [one for one in _devices(connection) if wanted in {None, one["id"]}]
    return answer_search(request, found)


@router.get("/Device/{name}", summary="Read a model bundle or a microscope", responses=READ)
def device(context: Context, request: Request, name: str) -> Response:
    """A bundle's id is the SHA-256 of its manifest."""
    with context.reading() as connection:
        return answer(request, _named(_devices(connection), "device", name))


@router.get("/Provenance", summary="Search what made a report")
def provenances(
    context: Context, request: Request, wanted: Name = None, target: Words = None
) -> Response:
    """By `_id` or `target`, a DiagnosticReport."""
    _check(request, "Provenance")
    name = wanted or id_in(target, "DiagnosticReport")
    with context.reading() as connection:
        slides = list(_slides(connection, name, None, None))
        _shown(context, "provenance", slides)
        told = list(_reported(context, connection, slides))
    found = map(resources.provenance, told)
    return answer_search(request, [one for one in found if one])


@router.get("/Provenance/{name}", summary="Read what made a report", responses=READ)
def provenance(context: Context, request: Request, name: str) -> Response:
    """It has the id of its report."""
    with context.reading() as connection:
        slide = _slide(connection, name)
        _shown(context, "provenance", [slide])
        (told,) = _reported(context, connection, [slide])
    found = resources.provenance(told)
    if found is None:
        raise not_found("provenance", name)
    return answer(request, found)


def _reported(
    context: ApiContext, connection: Connection, slides: Iterable[SlideRow]
) -> Iterator[Reported]:
    for told in reported(connection, slides):
        yield replace(told, knows=context.may(Right.IDENTIFY, told.slide.site))


def _specimen(context: ApiContext, slide: SlideRow) -> Resource:
    return resources.specimen(slide, knows=context.may(Right.IDENTIFY, slide.site))


def _check(request: Request, kind: str, *more: str) -> None:
    refuse_what_is_unknown(request, (*SEARCHES[kind], *more))


def _named(found: Iterable[Resource], kind: str, name: str) -> Resource:
    for resource in found:
        if resource["id"] == name:
            return resource
    raise not_found(kind, name)


def _slide(connection: Connection, name: str) -> SlideRow:
    slide_id = uuid_of(name)
    found = get_slide(connection, slide_id) if slide_id else None
    if found is None:
        gone = erased_slide(connection, slide_id) if slide_id else None
        raise erased("report", gone) if gone else not_found("report", name)
    return found


def _slides(
    connection: Connection, name: str | None, identifier: str | None, specimen: str | None
) -> Iterator[SlideRow]:
    """Yield the slides that all that was given fits; none where nothing was."""
    if name is not None:
        ids = [slide_id] if (slide_id := uuid_of(name)) else []
    elif identifier is not None:
        ids = slides_called(connection, identifier.rpartition("|")[2])
    elif specimen is not None:
        specimen_id = uuid_of(id_in(specimen, "Specimen") or "")
        ids = slides_of_specimen(connection, specimen_id) if specimen_id else []
    else:
        ids = []
    for slide_id in ids:
        row = get_slide(connection, slide_id)
        if row and (specimen is None or id_in(specimen, "Specimen") == str(row.specimen_id)):
            yield row


def _shown(context: ApiContext, subject: str, slides: Iterable[SlideRow]) -> None:
    """Say within `reading` of which slides the answer tells."""
    found = [slide.slide_id for slide in slides]
    if len(found) == 1:
        context.audit_read(subject, found[0], slide_id=found[0])
    elif found:
        context.audit_read(subject, shown=found)


def _photo(connection: Connection, name: str) -> tuple[SlideRow, FieldRow] | None:
    frame_id = uuid_of(name)
    field = get_field(connection, frame_id) if frame_id else None
    slide = get_slide(connection, field.slide_id) if field else None
    return (slide, field) if field and slide else None


def _devices(connection: Connection) -> Iterator[Resource]:
    yield from map(resources.model_device, list_bundles(connection, limit=_ALL))
    yield from map(resources.microscope_device, list_devices(connection, limit=_ALL))


def _has_code(observation: Resource, code: str | None) -> bool:
    if code is None:
        return True
    system, bar, word = code.rpartition("|")
    return any(
        coding["code"] == word and (not bar or coding["system"] == system)
        for coding in observation["code"]["coding"]
    )


def id_in(reference: str | None, kind: str) -> str | None:
    """Return the id of a reference such as `Specimen/…` or `https://…/Specimen/…`."""
    if reference is None:
        return None
    before, slash, name = reference.rpartition("/")
    return name if not slash or before.rpartition("/")[2] == kind else None


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def uuid_of(name: str) -> UUID | None:
    """Return an id of ours, or None where it is spelt otherwise."""
    try:
        found = UUID(name)
    except ValueError:
        return None
    return found if str(found) == name else None
