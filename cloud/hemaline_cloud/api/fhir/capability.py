"""What this FHIR server can do: its CapabilityStatement."""

from hemaline_cloud.api.fhir.resources import Resource

_CHANGED = "2026-11-29"
"""When this statement was last changed."""

SEARCHES: dict[str, dict[str, str]] = {
    "DiagnosticReport": {"_id": "token", "identifier": "token", "specimen": "reference"},
    "Observation": {"_id": "token", "code": "token", "specimen": "reference"},
    "Specimen": {"_id": "token"},
    "ServiceRequest": {"_id": "token", "specimen": "reference"},
    "Patient": {"_id": "token"},
    "Media": {"_id": "token", "subject": "reference"},
    "Device": {"_id": "token"},
    "Provenance": {"_id": "token", "target": "reference"},
}
"""Resource type -> search parameter -> its type."""


_READ = ("read", "search-type")
_MORE = {"ServiceRequest": ("create",)}


def capability_statement(version: str, address: str) -> Resource:
    """Describe the server at an address.

    Args:
        version: Of the software.
        address: Of the FHIR root.
    """
    resources = [
        {
            "type": kind,
            "interaction": [{"code": code} for code in (*_READ, *_MORE.get(kind, ()))],
            "versioning": "no-version",
            "searchParam": [{"name": name, "type": kind} for name, kind in parameters.items()],
        }
        for kind, parameters in SEARCHES.items()
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _CHANGED,
        "kind": "instance",
        "software": {"name": "Hemaline", "version": version},
        "implementation": {"description": "Hemaline. Research use only.", "url": address},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": resources}],
    }
