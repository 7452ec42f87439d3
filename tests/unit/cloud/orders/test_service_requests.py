"""Orders that come as FHIR R4 are read, or it is told which part is wrong; no name is repeated."""

from copy import deepcopy
from typing import Any

import pytest

from hemaline_cloud.orders.order import NewOrder
from hemaline_cloud.orders.service_requests import read_service_request, read_service_requests
from hemaline_shared.errors import PermanentError
from parts.ordering import SERVICE_REQUEST


def changed(**parts: Any) -> dict[str, Any]:
    return {name: value for name, value in (SERVICE_REQUEST | parts).items() if value is not None}


def test_a_request_with_its_patient_and_blood_count_is_an_order():
    order = read_service_request(SERVICE_REQUEST)
    assert order.barcode == "24-00031"
    assert order.patient
    assert (order.patient.identifier, order.patient.name) == ("4711", "Example, Erin Eve")
    assert order.blood_count.wbc
    assert (order.blood_count.wbc.value, order.blood_count.wbc.unit) == (31.4, "10*9/L")
    assert order.ordered_at


def test_a_bundle_holds_many_and_its_patients_stand_beside():
    patient = deepcopy(SERVICE_REQUEST["contained"][0]) | {"id": "p"}
    request = changed(contained=None, supportingInfo=None, subject={"reference": "Patient/p"})
    other = changed(contained=None, supportingInfo=None, subject={"reference": "Patient/q"})
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"resource": one} for one in (patient, request, other, SERVICE_REQUEST)],
    }
    (first, one), (second, two), (_third, three) = read_service_requests(bundle)
    assert (first, second) == ("entry 2", "entry 3")
    assert isinstance(one, NewOrder)
    assert one.patient
    assert isinstance(two, PermanentError)
    assert "must be contained, or stand in the Bundle" in str(two)
    assert three == read_service_request(SERVICE_REQUEST)
    assert [place for place, _ in read_service_requests(SERVICE_REQUEST)] == ["the request"]


def test_of_several_identifiers_the_specimens_counts():
    typed = {"type": {"coding": [{"code": "ACSN"}]}, "value": "24-9"}
    assert read_service_request(changed(identifier=[{"value": "x"}, typed])).barcode == "24-9"
    with pytest.raises(PermanentError, match="mark the one of the specimen"):
        read_service_request(changed(identifier=[{"value": "x"}, {"value": "y"}]))


def test_an_order_may_name_nobody():
    assert read_service_request(changed(subject={"display": "Unknown"})).patient is None


_NAMELESS = [{"resourceType": "Patient", "id": "p1", "birthDate": "1980-05-17"}]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"resourceType": "Patient"}, "ServiceRequest is wanted"),
        ({"status": None}, "status"),
        ({"nonsense": 1}, "nonsense"),
        ({"subject": {"reference": "Patient/Secret"}}, "must be contained"),
        ({"contained": _NAMELESS}, "patient.name"),
        ({"identifier": [{"value": ""}]}, "identifier"),
        ({"identifier": [{"system": "a"}]}, "barcode"),
        ({"authoredOn": "Secret"}, "authoredOn"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(parts, words):
    with pytest.raises(PermanentError, match=words) as refused:
        read_service_request(changed(**parts))
    assert refused.value.reason == "order-unreadable"
    assert "Secret" not in str(refused.value)


def test_what_is_neither_is_refused():
    with pytest.raises(PermanentError, match="Bundle is wanted"):
        list(read_service_requests({"resourceType": "Observation"}))
