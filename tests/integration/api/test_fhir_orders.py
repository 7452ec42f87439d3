"""Orders come and are read as FHIR R4, and a report names what it was signed for."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from factories import Factory, SlideMade
from parts.fhir import FhirValidator
from parts.ordering import ERIN, SERVICE_REQUEST, Orders
from parts.people import as_person, logged_in
from parts.reviewing import Asks
from parts.signing import sign_slide

ROOT = "/fhir/R4"


@pytest.fixture(scope="session")
def validator(tmp_path_factory) -> FhirValidator:
    return FhirValidator(tmp_path_factory.mktemp("fhir-validator"))


@pytest.fixture
def slide(factory: Factory) -> SlideMade:
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    return made


@pytest.fixture
def orders(client: TestClient) -> Orders:
    return Orders(client)


def read(client: TestClient, address: str) -> dict[str, Any]:
    answer = client.get(f"{ROOT}/{address}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def send(client: TestClient, resource: Any = SERVICE_REQUEST, site: str = "north"):
    return client.post(f"{ROOT}/ServiceRequest", params={"site": site}, json=resource)


def test_an_order_that_comes_as_fhir_is_kept_and_read_as_fhir(client, validator):
    answer = send(client)
    assert answer.status_code == 201
    address = answer.headers["location"].partition(f"{ROOT}/")[2]
    told = read(client, address)
    assert told["identifier"][0]["value"] == "24-00031"
    assert [one["valueQuantity"]["value"] for one in told["contained"]] == [31.4, 9.1, 41.0]
    patient = read(client, told["subject"]["reference"])
    assert patient["name"] == [{"text": "Example, Erin Eve"}]
    assert patient["birthDate"] == "1980-05-17"
    assert validator.faults(SERVICE_REQUEST, told, patient) == [[], [], []]
    again = send(client)
    assert (again.status_code, again.headers["location"]) == (200, answer.headers["location"])


def test_an_order_that_cannot_be_kept_is_an_outcome_in_words(client):
    send(client)
    other = send(client, SERVICE_REQUEST | {"authoredOn": "2026-03-03"})
    assert other.status_code == 422
    assert "says something else" in other.json()["issue"][0]["diagnostics"]
    wrong = send(client, SERVICE_REQUEST | {"subject": {"reference": "#nobody"}})
    assert "must be contained" in wrong.json()["issue"][0]["diagnostics"]
    assert send(client, site="No Site").status_code == 400
    for answer in (other, wrong):
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert "Erin" not in answer.text


def test_who_may_not_know_sends_no_order_and_reads_no_patient(
    anybody, client, database_url, slide, orders
):
    orders.add("24-00017")
    orders.link(slide, "24-00017")
    order = read(client, f"DiagnosticReport/{slide.slide_id}")["basedOn"][0]["reference"]
    patient = read(client, order)["subject"]["reference"]
    as_person(anybody, logged_in(database_url, ("operator",), "north"))
    assert anybody.get(f"{ROOT}/{patient}").status_code == 404
    assert "entry" not in read(anybody, patient.replace("/", "?_id="))
    told = [
        read(anybody, order),
        read(anybody, f"DiagnosticReport/{slide.slide_id}"),
        read(anybody, f"Observation/{slide.slide_id}.blast"),
        read(anybody, f"Specimen/{slide.specimen_id}"),
    ]
    assert all(patient not in str(one) for one in told)
    assert send(anybody).status_code == 403
    as_person(anybody, logged_in(database_url, ("haematologist",), "south"))
    assert send(anybody).status_code == 403
    for address in (order, patient):
        assert anybody.get(f"{ROOT}/{address}").status_code == 404


def test_all_that_is_said_of_a_linked_slide_is_valid(client, validator, slide, orders):
    orders.add("24-00017", blood_count={"hb": {"value": 5.6, "unit": "mmol/L"}})
    orders.link(slide, "24-00017")
    specimen = f"Specimen/{slide.specimen_id}"
    said = [
        read(client, "metadata"),
        read(client, f"DiagnosticReport/{slide.slide_id}"),
        read(client, f"Observation?specimen={specimen}"),
        read(client, specimen),
        read(client, f"ServiceRequest?specimen={specimen}"),
    ]
    (entry,) = said[-1]["entry"]
    assert entry["resource"]["specimen"] == [{"reference": specimen}]
    assert said[3]["accessionIdentifier"]["value"] == "24-00017"
    assert said[1]["subject"] == said[3]["subject"]
    assert validator.faults(*said) == [[] for _ in said]


def test_an_order_of_nobody_is_valid_too(client, validator, slide, orders):
    order_id = orders.add("24-00017", patient=None)
    orders.link(slide, "24-00017")
    said = [
        read(client, f"ServiceRequest/{order_id}"),
        read(client, f"DiagnosticReport/{slide.slide_id}"),
    ]
    assert "subject" not in said[1]
    assert validator.faults(*said) == [[], []]


def test_a_slide_that_is_linked_to_nothing_is_told_of_as_before(client, slide):
    for address in (f"DiagnosticReport/{slide.slide_id}", f"Specimen/{slide.specimen_id}"):
        assert not {"basedOn", "subject", "request"} & set(read(client, address))


def test_a_report_names_the_order_as_linked_at_signing_whatever_comes_after(
    anybody, client, database_url, factory: Factory, slide, orders
):
    order_id = orders.add("24-00017", blood_count={"wbc": {"value": 31.4}})
    other_id = orders.add("24-00018", patient=ERIN | {"identifier": "4712"})
    orders.link(slide, "24-00017")
    sign_slide(client, factory, slide)
    asks = Asks(client, slide)
    (signature,) = asks.read()["signatures"]
    before, paper = asks.report(signature).text, asks.paper(signature).content
    signed = asks.report(signature).json()["order"]
    assert (signed["order_id"], signed["barcode"]) == (order_id, "24-00017")
    assert signed["blood_count"]["wbc"]["value"] == 31.4
    assert ERIN["name"] not in before
    orders.ask(slide, "Wrong tube.")
    as_person(anybody, logged_in(database_url, ("haematologist",), "north"))
    assert orders.answer(slide, agrees=True).status_code == 200
    assert orders.link(slide, "24-00018").status_code == 200
    assert (asks.report(signature).text, asks.paper(signature).content) == (before, paper)
    report = read(client, f"DiagnosticReport/{slide.slide_id}")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{order_id}"}]
    assert asks.read()["changed_since_signing"]
    asks.see_all()
    amended = asks.sign(reason="The tubes were mixed up.").json()
    assert asks.report(amended).json()["order"]["order_id"] == other_id
    report = read(client, f"DiagnosticReport/{slide.slide_id}")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{other_id}"}]
    assert report["status"] == "amended"
