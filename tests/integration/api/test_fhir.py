"""FHIR R4: what hospital systems read of a slide, judged by a validator that is not ours."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from factories import Factory, SlideMade
from hemaline_shared.ids import accession
from parts.fhir import FhirValidator
from parts.signing import sign_slide

ROOT = "/fhir/R4"
_NOBODY = UUID(int=7)


@pytest.fixture(scope="session")
def validator(tmp_path_factory) -> FhirValidator:
    return FhirValidator(tmp_path_factory.mktemp("fhir-validator"))


@pytest.fixture
def slide(factory: Factory):
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    return made


def read(client: TestClient, address: str, **params: str) -> dict[str, Any]:
    response = client.get(f"{ROOT}/{address}", params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    return response.json()


def found(client: TestClient, address: str, **params: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in read(client, address, **params).get("entry", [])]


def specimen_of(client: TestClient, slide: SlideMade) -> str:
    report = read(client, f"DiagnosticReport/{slide.slide_id}")
    return report["specimen"][0]["reference"]


_OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "Blasts"}}


@pytest.mark.parametrize(
    "fault",
    [
        _OBSERVATION | {"status": "nonsense"},
        _OBSERVATION | {"blasts": 3},
        _OBSERVATION | {"valueQuantity": {"value": "twelve"}},
        {"resourceType": "DiagnosticReport", "status": "partial"},
        {"resourceType": "Media", "status": "taken", "content": {"url": "http://a/b"}},
    ],
    ids=["status", "property", "number", "missing code", "status of Media"],
)
def test_the_validator_sees_planted_faults(validator: FhirValidator, fault):
    assert validator.faults(_OBSERVATION) == [[]]
    assert validator.faults(fault) != [[]]


def test_all_that_is_said_of_a_slide_is_valid(client, factory: Factory, slide, validator):
    factory.device()
    empty = factory.slide()
    specimen = specimen_of(client, slide)
    said = [
        read(client, "metadata"),
        read(client, f"DiagnosticReport/{empty.slide_id}"),
        read(client, "DiagnosticReport"),
        read(client, "Observation", specimen=specimen),
        read(client, "Media", subject=specimen),
        read(client, "Device"),
        read(client, "Provenance", target=f"DiagnosticReport/{slide.slide_id}"),
        read(client, specimen),
    ]
    assert [len(found(client, "Media", subject=specimen)), len(found(client, "Device"))] == [1, 3]
    assert validator.faults(*said) == [[] for _ in said]


def test_what_somebody_signed_is_valid(client, factory: Factory, slide, validator):
    specimen = specimen_of(client, slide)
    sign_slide(client, factory, slide)
    said = [
        read(client, "DiagnosticReport"),
        read(client, "Observation", specimen=specimen),
        read(client, "Provenance", target=f"DiagnosticReport/{slide.slide_id}"),
    ]
    assert said[0]["entry"][0]["resource"]["status"] == "final"
    assert validator.faults(*said) == [[] for _ in said]


def test_a_report_that_nobody_signed_is_partial_and_says_so(client, slide):
    report = read(client, f"DiagnosticReport/{slide.slide_id}")
    assert report["status"] == "partial"
    assert "nobody has signed" in report["conclusion"]
    assert "For Research Use Only" in report["conclusion"]
    statuses = {read(client, result["reference"])["status"] for result in report["result"]}
    assert statuses == {"preliminary"}


def test_a_slide_without_a_result_has_a_registered_report(client, factory: Factory):
    slide = factory.slide()
    report = read(client, f"DiagnosticReport/{slide.slide_id}")
    assert report["status"] == "registered"
    assert "result" not in report
    assert client.get(f"{ROOT}/Provenance/{slide.slide_id}").status_code == 404


def test_shares_carry_loinc_and_their_interval(client, slide):
    summary = client.get(f"/api/v1/slides/{slide.slide_id}/result").json()["summary"]
    (share, *_) = [one for one in summary["differential"] if one["label"] == "blast"]
    blast = read(client, f"Observation/{slide.slide_id}.blast")
    assert {"system": "http://loinc.org", "code": "26446-5"} in blast["code"]["coding"]
    assert blast["valueQuantity"]["value"] == pytest.approx(100 * share["fraction"], abs=0.01)
    ends = {
        part["code"]["coding"][0]["code"]: part["valueQuantity"]["value"]
        for part in blast["component"]
    }
    assert ends["interval-low"] == pytest.approx(100 * share["low"], abs=0.01)
    assert ends["interval-high"] == pytest.approx(100 * share["high"], abs=0.01)


def test_observations_are_found_by_code(client, slide):
    specimen = specimen_of(client, slide)
    (blast,) = found(client, "Observation", specimen=specimen, code="http://loinc.org|26446-5")
    assert blast["id"] == f"{slide.slide_id}.blast"
    assert (
        found(client, "Observation", specimen=specimen, code="http://snomed.info/sct|26446-5") == []
    )


def test_a_report_is_found_by_its_accession(client, factory: Factory, slide):
    factory.slide()
    name = accession(slide.slide_id)
    for identifier in (name, f"urn:hemaline:accession|{name}"):
        (report,) = found(client, "DiagnosticReport", identifier=identifier)
        assert report["id"] == str(slide.slide_id)


def test_reports_come_in_pages_each_once(client, factory: Factory):
    made = {str(factory.slide().slide_id) for _ in range(5)}
    page = read(client, "DiagnosticReport", _count="2")
    seen = [entry["resource"]["id"] for entry in page["entry"]]
    while links := [link["url"] for link in page["link"] if link["relation"] == "next"]:
        page = client.get(links[0]).json()
        seen += [entry["resource"]["id"] for entry in page["entry"]]
    assert len(seen) == 5
    assert set(seen) == made


def test_a_reader_that_has_this_version_gets_no_body(client, slide):
    first = client.get(f"{ROOT}/DiagnosticReport/{slide.slide_id}")
    again = client.get(
        f"{ROOT}/DiagnosticReport/{slide.slide_id}",
        headers={"If-None-Match": first.headers["ETag"]},
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"DiagnosticReport/{_NOBODY}", 404),
        ("DiagnosticReport/not-an-id", 404),
        (f"Observation/{_NOBODY}.blast", 404),
        ("Media/x", 404),
        ("Device/x", 404),
        ("Specimen/x", 404),
        ("Provenance/x", 404),
        ("DiagnosticReport?patient=1", 400),
        ("DiagnosticReport?_count=0", 400),
        ("DiagnosticReport?cursor=nonsense", 400),
        ("DiagnosticReport?_format=xml", 406),
    ],
)
def test_every_refusal_is_a_valid_outcome(client, validator, address, status):
    response = client.get(f"{ROOT}/{address}")
    assert response.status_code == status
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert validator.faults(outcome) == [[]]


def test_a_search_for_nothing_in_particular_finds_nothing(client, slide):
    assert found(client, "Observation") == []
    assert found(client, "Media") == []
    assert found(client, "Specimen") == []
