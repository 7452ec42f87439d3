"""Whose blood it is, for those who may know; the one place where routes read identities."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.api.context import ApiContext
from hemaline_cloud.api.fhir.reported import reported
from hemaline_cloud.api.order_models import (
    AskedView,
    OrderView,
    PatientView,
    PreviousSmear,
    SlideOrderView,
)
from hemaline_cloud.database.order_links import order_of_slide, slides_of_orders
from hemaline_cloud.database.orders import OrderRow, orders_of_patient, site_of_patient
from hemaline_cloud.database.patients import read_patients
from hemaline_cloud.database.reading.slides import SlideRow, get_slide
from hemaline_cloud.orders.order import PatientIdentity
from hemaline_cloud.people.rights import Right
from hemaline_shared.ids import accession

_PREVIOUS = 10


def patients_of_slides(
    context: ApiContext, connection: Connection, slides: Iterable[SlideRow]
) -> dict[UUID, PatientView]:
    """Return slide -> its patient, of the slides whose patient may be known."""
    known = [slide for slide in slides if slide.patient_id and _may(context, slide.site)]
    wanted = {slide.patient_id for slide in known if slide.patient_id}
    found = read_patients(connection, context.identity_keys, wanted)
    return {
        slide.slide_id: _patient(slide.patient_id, found)
        for slide in known
        if slide.patient_id in found
    }


def order_view(context: ApiContext, connection: Connection, order: OrderRow) -> OrderView:
    """Show an order; whose it is, to those who may know."""
    patient = None
    if order.patient_id and _may(context, order.site):
        found = read_patients(connection, context.identity_keys, [order.patient_id])
        patient = _patient(order.patient_id, found)
    return OrderView(
        order_id=order.order_id,
        site=order.site,
        barcode=order.barcode,
        ordered_at=order.ordered_at,
        blood_count=order.counted,
        patient=patient,
    )


def known_patient(
    context: ApiContext, connection: Connection, patient_id: UUID
) -> tuple[PatientView, str] | None:
    """Return a patient and the site; None where there is none, or it may not be known."""
    site = site_of_patient(connection, patient_id)
    if site is None or not _may(context, site):
        return None
    found = read_patients(connection, context.identity_keys, [patient_id])
    return _patient(patient_id, found), site


def slide_order_view(
    context: ApiContext, connection: Connection, slide: SlideRow
) -> SlideOrderView:
    """Show what a slide was made for, and other slides of the same person."""
    found = order_of_slide(connection, slide)
    asked = found.asked
    return SlideOrderView(
        slide_id=slide.slide_id,
        version=slide.review_version,
        order=order_view(context, connection, found.order) if found.order else None,
        linked_by_name=found.linked.by_name if found.linked else None,
        linked_at=found.linked.at if found.linked else None,
        asked=AskedView(
            by_name=asked.by_name,
            at=asked.at,
            reason=asked.reason or "",
            yours=asked.by == context.principal.id,
        )
        if asked
        else None,
        previous=previous_smears(context, connection, slide),
    )


def previous_smears(
    context: ApiContext, connection: Connection, slide: SlideRow
) -> list[PreviousSmear]:
    """Return other slides of the same person, the newest first; none to who may not know."""
    if slide.patient_id is None or not _may(context, slide.site):
        return []
    orders = orders_of_patient(connection, slide.patient_id)
    ids = slides_of_orders(connection, orders, limit=_PREVIOUS + 1)
    rows = [get_slide(connection, one) for one in ids if one != slide.slide_id]
    told = reported(connection, [row for row in rows if row][:_PREVIOUS])
    return [
        PreviousSmear(
            slide_id=one.slide.slide_id,
            accession=accession(one.slide.slide_id),
            opened_at=one.slide.opened_at,
            review=one.slide.review,
            blasts=one.summary.blasts.fraction if one.summary and one.summary.blasts else None,
            signed=one.signed is not None,
        )
        for one in told
    ]


def _may(context: ApiContext, site: str) -> bool:
    return context.may(Right.IDENTIFY, site)


def _patient(patient_id: UUID, found: Mapping[UUID, PatientIdentity]) -> PatientView:
    return PatientView(patient_id=patient_id, **found[patient_id].model_dump())
