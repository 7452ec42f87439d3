"""Orders as FHIR R4 brings them: a ServiceRequest, or a Bundle of them and their Patients. Pure."""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from hemaline_cloud.orders.order import NewOrder
from hemaline_shared.errors import PermanentError

_ACCESSION = "ACSN"
"""HL7's type of an identifier that a laboratory gave to a specimen (v2-0203)."""
_COUNTS = {
    "6690-2": "wbc",
    "26464-8": "wbc",
    "718-7": "hb",
    "59260-0": "hb",
    "777-3": "plt",
    "26515-7": "plt",
}
"""LOINC -> part of the blood count."""

_Resource = Mapping[str, Any]
_Find = Callable[[str], _Resource | None]


def read_service_request(resource: _Resource) -> NewOrder:
    """Return the order of one ServiceRequest, whose Patient and Observations it contains.

    Raises:
        PermanentError: `order-unreadable`; what is wrong, and no name.
    """
    _check(resource, "ServiceRequest")
    return _order(resource, _contained(resource).get)


def read_service_requests(resource: _Resource) -> Iterator[tuple[str, NewOrder | PermanentError]]:
    """Yield where each order of a Bundle stands, and the order or what is wrong with it.

    Raises:
        PermanentError: `order-unreadable`; neither a Bundle nor a ServiceRequest.
    """
    if resource.get("resourceType") == "ServiceRequest":
        yield "the request", _attempt(resource, _contained(resource).get)
        return
    _check(resource, "Bundle")
    entries = [entry for entry in resource.get("entry") or () if entry.get("resource")]
    beside: dict[str, _Resource] = {}
    for entry in entries:
        one = entry["resource"]
        beside[f"{one['resourceType']}/{one.get('id')}"] = one
        beside[str(entry.get("fullUrl"))] = one
    for number, entry in enumerate(entries, start=1):
        one = entry["resource"]
        if one["resourceType"] == "ServiceRequest":
            yield f"entry {number}", _attempt(one, ChainMap(_contained(one), beside).get)


def _attempt(resource: _Resource, find: _Find) -> NewOrder | PermanentError:
    try:
        _check(resource, "ServiceRequest")
        return _order(resource, find)
    except PermanentError as error:
        return error


def _order(resource: _Resource, find: _Find) -> NewOrder:
    said = {
        "barcode": _barcode(resource),
        "patient": _patient(resource, find),
        "blood_count": _blood_count(resource, find),
        "ordered_at": resource.get("authoredOn"),
    }
    try:
        return NewOrder.model_validate(said)
    except ValidationError as error:
        raise _unreadable(error) from None


def _barcode(resource: _Resource) -> str:
    named = resource.get("identifier") or []
    for identifier in named:
        codings = identifier.get("type", {}).get("coding") or []
        if any(coding.get("code") == _ACCESSION for coding in codings):
            return str(identifier.get("value") or "")
    if len(named) != 1:
        raise PermanentError(
            "order-unreadable",
            "identifier: name one, or mark the one of the specimen with the type ACSN.",
        )
    return str(named[0].get("value") or "")


def _patient(resource: _Resource, find: _Find) -> dict[str, Any] | None:
    reference = resource["subject"].get("reference")
    if reference is None:
        return None
    patient = find(reference)
    if patient is None or patient.get("resourceType") != "Patient":
        raise PermanentError(
            "order-unreadable", "subject: the Patient must be contained, or stand in the Bundle."
        )
    _check(patient, "Patient")
    identifiers = patient.get("identifier") or [{}]
    names = patient.get("name") or [{}]
    return {
        "identifier": identifiers[0].get("value"),
        "name": names[0].get("text") or _spelled(names[0]),
        "birth_date": patient.get("birthDate"),
    }


def _spelled(name: _Resource) -> str | None:
    family, given = name.get("family"), " ".join(name.get("given") or ())
    return ", ".join(part for part in (family, given) if part) or None


def _blood_count(resource: _Resource, find: _Find) -> dict[str, Any]:
    counted = {}
    for info in resource.get("supportingInfo") or ():
        found = find(info.get("reference") or "")
        if not found or found.get("resourceType") != "Observation":
            continue
        _check(found, "Observation")
        codings = found["code"].get("coding") or ()
        part = next((_COUNTS[c["code"]] for c in codings if c.get("code") in _COUNTS), None)
        quantity = found.get("valueQuantity")
        if part and quantity:
            unit = quantity.get("code") or quantity.get("unit")
            counted[part] = {"value": quantity.get("value"), "unit": unit}
    return counted


def _contained(resource: _Resource) -> dict[str, _Resource]:
    return {f"#{one.get('id')}": one for one in resource.get("contained") or ()}


def _check(resource: _Resource, kind: str) -> None:
    if resource.get("resourceType") != kind:
        raise PermanentError("order-unreadable", f"resourceType: {kind} is wanted.")
    try:
        get_fhir_model_class(kind).model_validate(resource)
    except ValidationError as error:
        raise _unreadable(error) from None


def _unreadable(error: ValidationError) -> PermanentError:
    # Of what is wrong the place alone is told: a message may repeat a name.
    places = sorted({".".join(map(str, one["loc"])) or "the whole" for one in error.errors()})
    return PermanentError(
        "order-unreadable", f"These parts are missing or no such thing: {', '.join(places)}."
    )
