"""Whoever is of another site gets 404 or an empty list, from every endpoint."""

import contextlib
import json
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import text

from factories import DEVICE, SITE, Factory
from hemaline_cloud.api.authentication import COOKIE
from hemaline_cloud.api.server import make_app
from hemaline_cloud.database.device_commands import NewCommand, add_command
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import Role, service
from hemaline_cloud.settings import ApiSettings
from hemaline_shared.device_commands import NoArguments
from hemaline_shared.ids import accession, new_id
from hemaline_shared.topics import DeviceName
from parts.api import api_server, settings_of_api
from parts.event_stream import Stream
from parts.people import EVERY_ROLE, LoggedIn, let, logged_in
from parts.postgres import PostgresPart
from parts.routes import routes_below

API = "/api/v1"
NAME = "LAB-77"
BARCODE = "24-00017"
OF_ONE = {
    f"{API}/slides/{{slide_id}}",
    f"{API}/slides/{{slide_id}}/fields",
    f"{API}/slides/{{slide_id}}/cells",
    f"{API}/slides/{{slide_id}}/cells.csv",
    f"{API}/slides/{{slide_id}}/result",
    f"{API}/slides/{{slide_id}}/revisions",
    f"{API}/slides/{{slide_id}}/revisions/{{revision}}",
    f"{API}/fields/{{frame_id}}",
    f"{API}/fields/{{frame_id}}/image",
    f"{API}/cells/{{cell_id}}",
    f"{API}/cells/{{cell_id}}/image",
    f"{API}/cells/{{cell_id}}/thumbnail",
    f"{API}/cells/{{cell_id}}/heat-map.png",
    f"{API}/frames/{{frame_id}}/thumbnail",
    f"{API}/cells/{{cell_id}}/label",
    f"{API}/slides/{{slide_id}}/comments",
    f"{API}/slides/{{slide_id}}/morphology",
    f"{API}/slides/{{slide_id}}/review",
    f"{API}/slides/{{slide_id}}/readings",
    f"{API}/slides/{{slide_id}}/signatures/{{signature_id}}",
    f"{API}/slides/{{slide_id}}/signatures/{{signature_id}}/report.pdf",
    f"{API}/slides/{{slide_id}}/report.pdf",
    f"{API}/slides/{{slide_id}}/added-cells",
    f"{API}/slides/{{slide_id}}/timeline",
    f"{API}/slides/{{slide_id}}/requests",
    f"{API}/slides/{{slide_id}}/order",
    f"{API}/orders/{{order_id}}",
    f"{API}/sites/{{site}}/reference-cells",
    "/sites/{site}/references",
    "/slides/{name}/timeline",
    "/slides/{name}",
    "/devices/{site}/{device}",
    f"{API}/devices/{{site}}/{{device}}/configuration",
}
LISTS = {
    f"{API}/slides",
    f"{API}/frames",
    f"{API}/dead-letters",
    f"{API}/devices",
    f"{API}/overrides",
    "/",
    "/overrides",
    "/devices",
    "/problems",
}
FHIR = {
    f"/fhir/R4/{kind}{rest}"
    for kind in (
        "DiagnosticReport",
        "Observation",
        "Specimen",
        "ServiceRequest",
        "Patient",
        "Media",
        "Device",
        "Provenance",
    )
    for rest in ("", "/{name}")
} | {"/fhir/R4/metadata"}
OF_NO_SITE = {f"{API}/bundles", "/healthz", "/readyz", "/metrics"}
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    f"{API}/slides/{{slide_id}}/labels": (
        "POST",
        {"labels": [{"cell_id": "{cell_id}", "label": "blast", "version": 0}]},
    ),
    f"{API}/slides/{{slide_id}}/comments": ("POST", {"text": "x"}),
    f"{API}/fields/{{frame_id}}/comments": ("POST", {"text": "x"}),
    f"{API}/cells/{{cell_id}}/comments": ("POST", {"text": "x"}),
    f"{API}/fields/{{frame_id}}/added-cells": ("POST", {"x": 60, "y": 60, "label": "blast"}),
    f"{API}/slides/{{slide_id}}/added-cells/{{added_cell_id}}": ("DELETE", None),
    f"{API}/slides/{{slide_id}}/morphology": ("PUT", {"platelet_estimate": "normal"}),
    f"{API}/devices/{{site}}/{{device}}/configuration": (
        "PUT",
        {"configuration": {"telemetry_s": 60}, "why": "x"},
    ),
    f"{API}/devices/{{site}}/{{device}}/commands": ("POST", {"verb": "flush", "why": "x"}),
    f"{API}/devices/{{site}}/{{device}}/commands/{{command_id}}/approval": ("POST", None),
    f"{API}/devices/{{site}}/{{device}}/commands/{{command_id}}/withdrawal": ("POST", None),
    f"{API}/slides/{{slide_id}}/requests": ("POST", {"reason": "few-cells"}),
    f"{API}/cells/{{cell_id}}/label": ("PUT", {"label": "blast"}),
    f"{API}/slides/{{slide_id}}/seen": ("POST", {"revision": 1, "cells": ["{cell_id}"]}),
    f"{API}/slides/{{slide_id}}/review": ("POST", {"step": "call-unfit", "reason": "x"}),
    f"{API}/slides/{{slide_id}}/signatures": ("POST", {"revision": 1, "reason": "x"}),
    f"{API}/slides/{{slide_id}}/readings": ("POST", {"revision": 1}),
    f"{API}/slides/{{slide_id}}/order/unlinking": ("POST", {"reason": "x"}),
    f"{API}/slides/{{slide_id}}/order/unlinking/answer": ("POST", {"agrees": True}),
}
OF_NO_SITE = {
    f"{API}/bundles",
    f"{API}/openapi.json",
    f"{API}/session",
    "/healthz",
    "/readyz",
    "/metrics",
    "/log-in",
    "/log-out",
    "/account",
    "/account/password",
    "/account/second-factor",
    "/account/end-other-sessions",
    "/people",
}
GIVES_A_SITE = {"/account/break-glass"}
"""See test_account."""
NAMES_ITS_SITE = {f"{API}/orders"}
"""See test_orders."""
ADMINISTERED = {f"{API}/specimens/{{specimen_id}}/erasure"}
"""See test_erasing."""
SEARCHES = {"/find", f"{API}/slides/search"}
"""See test_finding."""
NEEDS: dict[str, set[Role]] = {"/metrics": {"operator", "admin"}, "/people": {"admin"}}
"""What not every role may read."""
SIGNING = {
    f"{API}/slides/{{slide_id}}/review",
    f"{API}/slides/{{slide_id}}/signatures",
    f"{API}/slides/{{slide_id}}/readings",
    f"{API}/slides/{{slide_id}}/order/unlinking/answer",
}
"""What haematologists alone may do."""
REFUSED = {
    f"{API}/slides/{{slide_id}}/{what}"
    for what in ("signatures", "readings", "order/unlinking/answer")
}
"""Found, but a slide that is being received is not signed, and nobody has asked anything."""
STREAMS = {f"{API}/events"}
"""Tested below."""
OF_DEVICES = {"/uploads/{path:path}"}
"""Whoever has a signed address may use it; it is of one object."""


@dataclass
class Stored:
    """What the site `north` has, as paths and as the words that give it away."""

    paths: dict[str, str]
    words: list[str]


def store_one_of_each(factory: Factory) -> Stored:
    slide = factory.slide(slide_name=NAME)
    frame = factory.field(slide)
    others = (factory.rejected(slide), factory.quarantined(slide))
    factory.trained_result(slide)
    signature = factory.signature(slide)
    factory.device()
    letter = factory.dead_letter("too-odd")
    cell = next(iter(slide.labels))
    added = new_id()
    with unit_of_work(factory.engine) as connection:
        connection.execute(
            text(
                "insert into signed_classes (signature_id, model_class, reader_class, site,"
                " device, bundle, machine_hidden, signed_at, cells)"
                " select :signature, 'blast', 'blast', :site, :device, number, false, now(), 1"
                " from bundles where trained"
            ),
            {"signature": signature, "site": SITE, "device": DEVICE},
        )
        connection.execute(
            text(
                "insert into added_cells (act_id, added_cell_id, frame_id, slide_id, site, reading,"
                ' "left", top, "right", bottom, label, by, by_name)'
                " values (:added, :added, :frame, :slide, :site, 1, 1, 1, 2, 2, 'blast', 'p', 'p')"
            ),
            {"added": added, "frame": frame, "slide": slide.slide_id, "site": SITE},
        )
        asked = NewCommand(DeviceName(SITE, DEVICE), "discard-kept", NoArguments(), "x")
        command = add_command(connection, service("tests"), asked)
    paths = {
        "command_id": str(command.command_id),
        "added_cell_id": str(added),
        "slide_id": str(slide.slide_id),
        "frame_id": str(frame),
        "cell_id": str(cell),
        "signature_id": str(signature),
        "order_id": str(factory.order(slide, BARCODE)),
        "name": accession(slide.slide_id),
    }
    words = [*paths.values(), *map(str, others), str(letter), DEVICE, NAME, BARCODE, "too-odd"]
    of_device = {"site": SITE, "device": DEVICE}
    return Stored(paths | of_device | {"revision": "1"}, words)


class Asker:
    """Asks as one of many people, a person for each role at each site."""

    def __init__(self, client: TestClient, database_url: str) -> None:
        self.client = client
        self._database_url = database_url
        self._people: dict[tuple[Role, str], LoggedIn] = {}

    def person(self, site: str, role: Role = "haematologist") -> LoggedIn:
        if (role, site) not in self._people:
            self._people[role, site] = logged_in(self._database_url, (role,), site)
        return self._people[role, site]

    def get(self, path: str, site: str = "north", role: Role = "haematologist", **more) -> Response:
        return self.ask("GET", path, site, role, **more)

    def ask(self, method: str, path: str, site: str, role: Role, **more) -> Response:
        """Ask as a page of the person's session does; `more` as `TestClient.request` takes it."""
        person = self.person(site, role)
        headers = person.changing | {"Cookie": f"{COOKIE}={person.secret}"}
        headers |= more.pop("headers", {})
        return self.client.request(method, path, headers=headers, **more)


@pytest.fixture
def stored(factory: Factory) -> Stored:
    return store_one_of_each(factory)


@pytest.fixture
def asker(anybody: TestClient, database_url: str) -> Asker:
    return Asker(anybody, database_url)


@pytest.fixture(scope="module")
def reading(
    postgres: PostgresPart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Asker, Stored]]:
    """Who asks and what there is, once for all tests that only read."""
    url = postgres.create_migrated()
    settings = settings_of_api(url, tmp_path_factory.mktemp("objects"))
    factory = Factory(url, open_store(settings.objects))
    with TestClient(make_app(settings)) as client:
        yield Asker(client, url), store_one_of_each(factory)
    factory.close()
    postgres.drop(url)


def test_every_endpoint_is_asked_here(anybody: TestClient):
    """A new one belongs into one of the sets above."""
    known = OF_ONE | set(CHANGES) | LISTS | FHIR | OF_NO_SITE | STREAMS | OF_DEVICES
    known |= ADMINISTERED | GIVES_A_SITE | NAMES_ITS_SITE | SEARCHES
    assert {route.path for route in routes_below(anybody.app)} == known


@pytest.mark.parametrize("path", sorted(OF_ONE))
def test_one_thing_of_another_site_is_not_there(reading: tuple[Asker, Stored], path: str):
    asker, stored = reading
    there = path.format(**stored.paths)
    for role in EVERY_ROLE:
        found = asker.get(there, role=role)
        assert found.status_code == 200
        etag = found.headers.get("etag", '"none"')
        assert asker.get(there, "south", role).status_code == 404
        known = asker.get(there, "south", role, headers={"If-None-Match": etag})
        assert known.status_code == 404, "who has a copy is not told that it is still good"


@pytest.mark.parametrize("path", sorted(CHANGES))
def test_nothing_of_another_site_can_be_changed(asker: Asker, stored: Stored, path: str):
    method, body = CHANGES[path]
    address = path.format(**stored.paths)
    asked = json.loads(json.dumps(body).replace("{cell_id}", stored.paths["cell_id"]))
    reviewing = ("haematologist",) if path in SIGNING else ("technologist", "haematologist")
    reviewing = ("operator", "admin") if "/devices/" in path else reviewing
    for site, role, status in (
        *(("south", role, 404 if role in reviewing else 403) for role in EVERY_ROLE),
        *(("north", role, 403) for role in EVERY_ROLE if role not in reviewing),
        (
            "north",
            reviewing[0] if "/devices/" in path else "haematologist",
            409 if path in REFUSED else 200,
        ),
    ):
        # Linked to its order, the slide has its first version; nobody has named or graded anything.
        has_version = "/slides/" in path and "morphology" not in path
        versioned = {"If-Match": '"v1"' if has_version else '"v0"'}
        answer = asker.ask(method, address, site, role, json=asked, headers=versioned)
        assert answer.status_code == status, (site, role)


@pytest.mark.parametrize("path", sorted(LISTS))
def test_lists_show_nothing_of_another_site(reading: tuple[Asker, Stored], path: str):
    asker, stored = reading
    for role in EVERY_ROLE:
        ours = asker.get(path, role=role).text
        assert any(word in ours for word in stored.words)
        answer = asker.get(path, "south", role)
        assert answer.status_code == 200
        assert [word for word in stored.words if word in answer.text] == []


@pytest.mark.parametrize("path", sorted(NEEDS))
def test_what_not_every_role_may_read_is_refused_to_the_others(
    reading: tuple[Asker, Stored], path: str
):
    asker, _ = reading
    allowed = {role for role in EVERY_ROLE if asker.get(path, role=role).status_code == 200}
    assert allowed == NEEDS[path]
    for role in set(EVERY_ROLE) - allowed:
        assert asker.get(path, role=role).status_code == 403


@pytest.mark.parametrize(
    "address",
    [
        "DiagnosticReport/{slide_id}",
        "Observation/{slide_id}.differential",
        "Provenance/{slide_id}",
        "ServiceRequest/{order_id}",
        "Media/{frame_id}",
    ],
)
def test_fhir_knows_nothing_of_another_site(reading: tuple[Asker, Stored], address: str):
    asker, stored = reading
    there = f"/fhir/R4/{address.format(**stored.paths)}"
    for role in EVERY_ROLE:
        assert asker.get(there, role=role).status_code == 200
        assert stored.paths["slide_id"] in asker.get("/fhir/R4/DiagnosticReport", role=role).text
        assert asker.get(there, "south", role).status_code == 404
        for kind in ("DiagnosticReport", "Device"):
            said = asker.get(f"/fhir/R4/{kind}", "south", role).text
            assert [word for word in stored.words if word in said] == []


@pytest.mark.parametrize("query", [{"q": NAME}, {"q": NAME[-2:]}, {"order": "worklist"}])
def test_no_search_and_no_order_finds_another_sites_slides(
    reading: tuple[Asker, Stored], query: dict[str, str]
):
    asker, _ = reading
    assert len(asker.get(f"{API}/slides", params=query).json()["items"]) == 1
    assert asker.get(f"{API}/slides", "south", params=query).json()["items"] == []


def test_a_list_that_is_narrowed_to_another_sites_slide_is_empty(reading: tuple[Asker, Stored]):
    asker, stored = reading
    params = {"slide_id": stored.paths["slide_id"]}
    assert asker.get(f"{API}/frames", "south", params=params).json()["items"] == []


def test_a_role_at_one_site_opens_no_other(database_url: str, anybody: TestClient, stored: Stored):
    """Whoever works at two sites sees both, and whoever loses one, sees it no more."""
    both = logged_in(database_url, ("haematologist",), "south")
    there = f"{API}/slides/{stored.paths['slide_id']}"
    assert anybody.get(there, headers=both.bearer).status_code == 404
    let(database_url, both, [("haematologist", "south"), ("operator", "north")])
    assert anybody.get(there, headers=both.bearer).status_code == 200
    let(database_url, both, [("haematologist", "south")])
    assert anybody.get(there, headers=both.bearer).status_code == 404


def test_a_stream_tells_of_its_listeners_sites_alone(
    api_settings: ApiSettings, factory: Factory, database_url: str
):
    with api_server(api_settings) as address:
        other = Stream(address, logged_in(database_url, site="south"))
        other.next("everything")
        ours = Stream(address, logged_in(database_url, site="north"))
        ours.next("everything")
        for number in range(30):  # until the server listens to PostgreSQL
            factory.device(f"probe-{number}")
            with contextlib.suppress(queue.Empty):
                ours.next("devices", timeout_s=1)
                break
        slide = factory.slide()
        assert ours.next("slide") == {"slide_id": str(slide.slide_id)}
    assert {kind for kind, _ in other.rest()} <= {"everything"}
