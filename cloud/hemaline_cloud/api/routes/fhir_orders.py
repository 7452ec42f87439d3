"""`/fhir/R4/ServiceRequest` and `/Patient`: orders come and are read, as FHIR."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from hemaline_cloud.api.context import ApiContext, Context
from hemaline_cloud.api.fhir import orders
from hemaline_cloud.api.fhir.answers import (
    ROOT,
    FhirRoute,
    answer,
    answer_created,
    answer_search,
    refuse_what_is_unknown,
    refuses,
)
from hemaline_cloud.api.fhir.capability import SEARCHES
from hemaline_cloud.api.fhir.resources import Resource
from hemaline_cloud.api.known_patients import known_patient, order_view
from hemaline_cloud.api.order_models import OrderAdded, Site
from hemaline_cloud.api.problems import ProblemError, not_found
from hemaline_cloud.api.routes.fhir import DESCRIBED, READ, Name, Words, id_in, uuid_of
from hemaline_cloud.api.writing import Done, Write
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.order_links import slides_of_orders
from hemaline_cloud.database.orders import OrderRow, add_order, get_order, orders_of_patient
from hemaline_cloud.database.reading.slides import get_slide, slides_of_specimen
from hemaline_cloud.orders.service_requests import read_service_request
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError

router = APIRouter(
    prefix=ROOT,
    tags=["fhir"],
    route_class=FhirRoute,
    default_response_class=Response,
    responses=DESCRIBED,
)
_MOST_SLIDES = 100


@router.post(
    "/ServiceRequest",
    summary="Send an order",
    responses=refuses(
        HTTPStatus.FORBIDDEN,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    | {201: DESCRIBED[200] | {"description": "The order is kept now; its address is in Location."}},
)
def create(
    context: Context,
    request: Request,
    writing: Write,
    resource: Annotated[dict[str, Any], Body()],
    site: Annotated[Site, Query(description="Of the laboratory.")],
) -> Response:
    """Answered with 201 and the order's address; one that is there already, with 200.

    Its identifier is the specimen's barcode (of several, the one of type ACSN), its subject a
    contained Patient with identifier, name and birth date; contained Observations may bring the
    blood count. One that says something else under a known barcode is refused.
    """
    context.require_review(Right.IDENTIFY)

    def act(connection: Connection, who: Principal) -> Done:
        context.require(Right.IDENTIFY, site)
        try:
            new = read_service_request(resource)
            added = add_order(connection, who, context.identity_keys, site, new)
        except PermanentError as error:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason, str(error)) from error
        view = OrderAdded(order_id=added.order_id, barcode=new.barcode, new=added.new)
        detail = "" if added.new else "known already"
        return Done(view, Event("add", "order", added.order_id, detail, site), is_told=False)

    written = OrderAdded.model_validate_json(bytes(writing.write(act, Right.IDENTIFY).body))
    return answer_created(request, "ServiceRequest", str(written.order_id), new=written.new)


@router.get("/ServiceRequest", summary="Search orders")
def service_requests(
    context: Context, request: Request, wanted: Name = None, specimen: Words = None
) -> Response:
    """By `_id` or `specimen`; a barcode stands in no address."""
    _check(request, "ServiceRequest")
    with context.reading() as connection:
        rows = []
        if wanted is not None:
            rows = [get_order(connection, found)] if (found := uuid_of(wanted)) else []
        elif specimen is not None and (found := uuid_of(id_in(specimen, "Specimen") or "")):
            slides = [get_slide(connection, one) for one in slides_of_specimen(connection, found)]
            ids = {slide.order_id for slide in slides if slide and slide.order_id}
            rows = [get_order(connection, one) for one in sorted(ids)]
        told = [_request(context, connection, row) for row in rows if row]
    return answer_search(request, told)


@router.get("/ServiceRequest/{name}", summary="Read an order", responses=READ)
def service_request(context: Context, request: Request, name: str) -> Response:
    """Its subject is told to those alone who may know whose blood it is."""
    with context.reading() as connection:
        row = get_order(connection, found) if (found := uuid_of(name)) else None
        if row is None:
            raise not_found("order", name)
        told = _request(context, connection, row)
    return answer(request, told)


@router.get("/Patient", summary="Search patients")
def patients(context: Context, request: Request, wanted: Name = None) -> Response:
    """By `_id`; a name stands in no address: see `POST /api/v1/slides/search`."""
    _check(request, "Patient")
    with context.reading() as connection:
        found = _patient(context, connection, wanted) if wanted else None
    return answer_search(request, [found] if found else [])


@router.get("/Patient/{name}", summary="Read a patient", responses=READ)
def patient(context: Context, request: Request, name: str) -> Response:
    """For technologists and haematologists of the site; to others it is not there."""
    with context.reading() as connection:
        found = _patient(context, connection, name)
    if found is None:
        raise not_found("patient", name)
    return answer(request, found)


def _check(request: Request, kind: str) -> None:
    refuse_what_is_unknown(request, SEARCHES[kind])


def _request(context: ApiContext, connection: Connection, row: OrderRow) -> Resource:
    ids = slides_of_orders(connection, [row.order_id], limit=_MOST_SLIDES)
    context.audit_read("order", row.order_id, shown=ids)
    slides = [get_slide(connection, one) for one in ids]
    view = order_view(context, connection, row)
    return orders.service_request(view, [slide.specimen_id for slide in slides if slide])


def _patient(context: ApiContext, connection: Connection, name: str) -> Resource | None:
    patient_id: UUID | None = uuid_of(name)
    known = known_patient(context, connection, patient_id) if patient_id else None
    if known is None or patient_id is None:
        return None
    view, site = known
    shown = slides_of_orders(
        connection, orders_of_patient(connection, patient_id), limit=_MOST_SLIDES
    )
    context.audit_read("patient", patient_id, shown=shown)
    return orders.patient(view, site)
