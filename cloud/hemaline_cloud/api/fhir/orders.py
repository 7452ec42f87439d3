"""Orders and patients as FHIR R4 resources."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from hemaline_cloud.api.fhir import codes
from hemaline_cloud.api.fhir.resources import Resource, reference, time_of
from hemaline_cloud.api.order_models import OrderView, PatientView
from hemaline_cloud.orders.order import BloodCount

_NOBODY = {"display": "Unknown, or not told"}


def service_request(order: OrderView, specimens: Iterable[UUID]) -> Resource:
    """Return an order.

    Args:
        order: Whose it is, if whoever asks may know.
        specimens: Of the slides that were made for it.
    """
    counts = list(_counts(order.blood_count))
    resource: Resource = {
        "resourceType": "ServiceRequest",
        "id": str(order.order_id),
        "identifier": [{"system": codes.BARCODE, "value": order.barcode}],
        "status": "active",
        "intent": "order",
        "code": codes.differential(),
        "subject": reference("Patient", order.patient.patient_id) if order.patient else _NOBODY,
    }
    if order.ordered_at:
        resource["authoredOn"] = time_of(order.ordered_at)
    if found := [reference("Specimen", one) for one in dict.fromkeys(specimens)]:
        resource["specimen"] = found
    if counts:
        resource["contained"] = counts
        resource["supportingInfo"] = [{"reference": f"#{one['id']}"} for one in counts]
    return resource


def patient(known: PatientView, site: str) -> Resource:
    """Return whose blood it is, for those who may know."""
    return {
        "resourceType": "Patient",
        "id": str(known.patient_id),
        "identifier": [{"system": f"{codes.PATIENT}:{site}", "value": known.identifier}],
        "name": [{"text": known.name}],
        "birthDate": known.birth_date.isoformat(),
    }


def _counts(counted: BloodCount) -> Iterator[Resource]:
    for name, count in (("wbc", counted.wbc), ("hb", counted.hb), ("plt", counted.plt)):
        if count is not None:
            yield {
                "resourceType": "Observation",
                "id": name,
                "status": "final",
                "code": codes.counted(name, count.unit),
                "valueQuantity": {
                    "value": count.value,
                    "unit": count.unit,
                    "system": codes.UCUM,
                    "code": count.unit,
                },
            }
