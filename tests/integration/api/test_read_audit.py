"""Whatever shows a person's data is on record before it is sent, or it is not sent."""

import pytest

from factories import DEVICE, SITE
from hemaline_cloud.api import read_audit
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import service
from parts.postgres import as_owner
from parts.routes import get_routes

NOTHING_OF_A_PERSON = {
    "/log-in",
    "/account",
    "/people",
    "/api/v1/session",
    "/healthz",
    "/readyz",
    "/metrics",
    "/devices",
    "/overrides",
    "/api/v1/overrides",
    "/api/v1/openapi.json",
    "/api/v1/devices",
    "/api/v1/devices/{site}/{device}/configuration",
    "/api/v1/devices/{site}/{device}/commands",
    "/api/v1/dead-letters",
    "/api/v1/bundles",
    "/api/v1/events",
    "/fhir/R4/metadata",
    "/fhir/R4/Device",
    "/fhir/R4/Device/{name}",
}
FHIR = "/fhir/R4"
OF_FHIR = {
    f"{FHIR}/DiagnosticReport/{{name}}": f"{FHIR}/DiagnosticReport/{{slide_id}}",
    f"{FHIR}/Observation/{{name}}": f"{FHIR}/Observation/{{slide_id}}.differential",
    f"{FHIR}/Observation": f"{FHIR}/Observation?specimen=Specimen/{{specimen_id}}",
    f"{FHIR}/Specimen/{{name}}": f"{FHIR}/Specimen/{{specimen_id}}",
    f"{FHIR}/Specimen": f"{FHIR}/Specimen?_id={{specimen_id}}",
    f"{FHIR}/Media/{{name}}": f"{FHIR}/Media/{{frame_id}}",
    f"{FHIR}/Media": f"{FHIR}/Media?subject=Specimen/{{specimen_id}}",
    f"{FHIR}/ServiceRequest/{{name}}": f"{FHIR}/ServiceRequest/{{order_id}}",
    f"{FHIR}/ServiceRequest": f"{FHIR}/ServiceRequest?specimen=Specimen/{{specimen_id}}",
    f"{FHIR}/Patient/{{name}}": f"{FHIR}/Patient/{{patient_id}}",
    f"{FHIR}/Patient": f"{FHIR}/Patient?_id={{patient_id}}",
    f"{FHIR}/Provenance/{{name}}": f"{FHIR}/Provenance/{{slide_id}}",
    f"{FHIR}/Provenance": f"{FHIR}/Provenance?target=DiagnosticReport/{{slide_id}}",
}
"""Addresses of FHIR that want another name, or a search before they tell of anything."""


@pytest.fixture
def engine(database_url):
    engine = make_engine(as_owner(database_url), principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def events(engine):
    def ask():
        with unit_of_work(engine) as connection:
            return [
                tuple(row)
                for row in connection.exec_driver_sql(
                    "select subject, subject_id, slide_id, shown from audit_events"
                    " where action = 'read' order by event_id"
                )
            ]

    return ask


@pytest.fixture
def slide(factory):
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    factory.quarantined(made)
    factory.signed_label(made)
    factory.order(made, "24-00017")
    factory.device()
    return made


def addresses(client, slide):
    """Every address that can be read, with the ids of one slide in it."""
    values = {
        "slide_id": slide.slide_id,
        "name": slide.slide_id,
        "frame_id": slide.fields[0],
        "cell_id": next(iter(slide.labels)),
        "revision": 1,
        "signature_id": slide.signatures[0],
        "specimen_id": slide.specimen_id,
        "order_id": slide.orders[0],
        "patient_id": slide.patients[0],
        "site": SITE,
        "device": DEVICE,
    }
    asked = sorted(get_routes(client.app) - NOTHING_OF_A_PERSON)
    return [OF_FHIR.get(path, path).format(**values) for path in asked]


def test_each_answer_that_shows_a_persons_data_is_one_event(client, slide, events, monkeypatch):
    monkeypatch.setattr(read_audit, "COVERED_S", -1.0)
    asked = addresses(client, slide)
    assert len(asked) >= 18
    for number, address in enumerate(asked, start=1):
        assert client.get(address).status_code == 200, address
        told = events()
        assert len(told) == number, address
        _subject, _subject_id, of_slide, shown = told[-1]
        assert of_slide == slide.slide_id or shown == [slide.slide_id], address


def test_what_shows_nothing_of_a_person_is_no_event(client, slide, events):
    others = {"/api/v1/events", "/fhir/R4/Device/{name}", "/log-in"}  # that leads to the worklist
    others |= {f"/api/v1/devices/{{site}}/{{device}}/{of}" for of in ("configuration", "commands")}
    for address in NOTHING_OF_A_PERSON - others:
        assert client.get(address).status_code == 200, address
    assert events() == []


def test_the_images_of_a_page_are_covered_by_its_event(client, slide, events):
    client.get(f"/slides/{slide.slide_id}")
    cell = next(iter(slide.labels))
    client.get(f"/api/v1/cells/{cell}/thumbnail")
    client.get(f"/api/v1/fields/{slide.fields[0]}/image")
    assert [event[0] for event in events()] == ["slide"]


def test_images_that_are_loaded_without_a_page_are_an_event_of_their_own(client, slide, events):
    cell = next(iter(slide.labels))
    for _ in range(2):
        client.get(f"/api/v1/cells/{cell}/thumbnail")
    assert events() == [("cell-image", cell, slide.slide_id, None)]


def test_an_event_does_not_cover_the_images_of_another_slide(client, slide, factory, events):
    other = factory.slide()
    factory.field(other)
    client.get(f"/slides/{slide.slide_id}")
    client.get(f"/api/v1/fields/{other.fields[0]}/image")
    assert [event[2] for event in events()] == [slide.slide_id, other.slide_id]


def test_a_read_that_cannot_be_recorded_is_not_answered(client, slide, engine):
    asked = addresses(client, slide)
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("alter table audit_events rename to away")
    for address in asked:
        answer = client.get(address)
        assert answer.status_code == 503, address
        assert str(slide.slide_id) not in answer.text
