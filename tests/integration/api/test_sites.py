"""Whoever is of another site gets 404 or an empty list, from every endpoint."""

import contextlib
import json
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from factories import DEVICE, Factory
from hemaline_cloud.api.context import principal_of
from hemaline_cloud.api.routes import pages
from hemaline_cloud.api.server import make_app, make_server
from hemaline_cloud.principal import Principal
from hemaline_cloud.settings import ApiSettings
from hemaline_local.ports import free_port
from hemaline_shared.ids import accession
from parts.event_stream import Stream

NORTH, SOUTH, NOWHERE = (
    Principal(f"p-{number}", "a reader", "person", sites=frozenset(sites))
    for number, sites in enumerate((["north"], ["south"], []))
)
API = "/api/v1"
NAME = "LAB-77"
OF_ONE = {
    f"{API}/slides/{{slide_id}}",
    f"{API}/slides/{{slide_id}}/fields",
    f"{API}/slides/{{slide_id}}/cells",
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
    "/slides/{name}",
}
LISTS = {
    f"{API}/slides",
    f"{API}/frames",
    f"{API}/dead-letters",
    f"{API}/devices",
    "/",
    "/devices",
    "/problems",
}
FHIR = {
    f"/fhir/R4/{kind}{rest}"
    for kind in ("DiagnosticReport", "Observation", "Specimen", "Media", "Device", "Provenance")
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
    f"{API}/cells/{{cell_id}}/label": ("PUT", {"label": "blast"}),
}
STREAMS = {f"{API}/events"}
"""Tested below."""
OF_DEVICES = {"/uploads/{path}"}
"""Whoever has a signed address may use it; it is of one object."""


@dataclass
class Stored:
    """What the site `north` has, as paths and as the words that give it away."""

    paths: dict[str, str]
    words: list[str]


@pytest.fixture
def stored(factory: Factory) -> Stored:
    slide = factory.slide(slide_name=NAME)
    frame = factory.field(slide)
    others = (factory.rejected(slide), factory.quarantined(slide))
    factory.trained_result(slide)
    factory.device()
    letter = factory.dead_letter("too-odd")
    cell = next(iter(slide.labels))
    paths = {
        "slide_id": str(slide.slide_id),
        "frame_id": str(frame),
        "cell_id": str(cell),
        "name": accession(slide.slide_id),
    }
    words = [*paths.values(), *map(str, others), str(letter), DEVICE, NAME, "too-odd"]
    return Stored(paths, words)


@pytest.fixture
def asking(api_settings: ApiSettings) -> Iterator[dict[str, Principal]]:
    """Who asks from now on, under `who`, and the client to ask with, under `client`."""
    app = make_app(api_settings)
    who = {"who": NORTH}
    app.dependency_overrides[principal_of] = lambda: who["who"]
    with TestClient(app) as client:
        who["client"] = client
        yield who


def test_every_endpoint_is_asked_here(api_settings: ApiSettings):
    """A new one belongs into one of the sets above."""
    documented = set(make_app(api_settings).openapi()["paths"])
    pages_of = {route.path for route in pages.router.routes}
    assert documented | pages_of == (
        OF_ONE | set(CHANGES) | LISTS | FHIR | OF_NO_SITE | STREAMS | OF_DEVICES
    )


@pytest.mark.parametrize("path", sorted(OF_ONE))
def test_one_thing_of_another_site_is_not_there(asking, stored: Stored, path: str):
    there = path.format(revision=1, **stored.paths)
    found = asking["client"].get(there)
    assert found.status_code == 200
    etag = found.headers.get("etag", '"none"')
    for stranger in (SOUTH, NOWHERE):
        asking["who"] = stranger
        assert asking["client"].get(there).status_code == 404
        known = asking["client"].get(there, headers={"If-None-Match": etag})
        assert known.status_code == 404, "who has a copy is not told that it is still good"


@pytest.mark.parametrize("path", sorted(CHANGES))
def test_nothing_of_another_site_can_be_changed(asking, stored: Stored, path: str):
    method, body = CHANGES[path]
    address = path.format(**stored.paths)
    asked = json.loads(json.dumps(body).replace("{cell_id}", stored.paths["cell_id"]))
    for principal, status in ((SOUTH, 404), (NOWHERE, 404), (NORTH, 200)):
        asking["who"] = replace(principal, roles=frozenset({"technologist"}))
        answer = asking["client"].request(method, address, json=asked, headers={"If-Match": '"v0"'})
        assert answer.status_code == status


@pytest.mark.parametrize("path", sorted(LISTS))
def test_lists_show_nothing_of_another_site(asking, stored: Stored, path: str):
    ours = asking["client"].get(path).text
    assert any(word in ours for word in stored.words)
    for stranger in (SOUTH, NOWHERE):
        asking["who"] = stranger
        answer = asking["client"].get(path)
        assert answer.status_code == 200
        assert [word for word in stored.words if word in answer.text] == []


@pytest.mark.parametrize(
    "address",
    [
        "DiagnosticReport/{slide_id}",
        "Observation/{slide_id}.differential",
        "Provenance/{slide_id}",
        "Media/{frame_id}",
    ],
)
def test_fhir_knows_nothing_of_another_site(asking, stored: Stored, address: str):
    there = f"/fhir/R4/{address.format(**stored.paths)}"
    assert asking["client"].get(there).status_code == 200
    assert stored.paths["slide_id"] in asking["client"].get("/fhir/R4/DiagnosticReport").text
    asking["who"] = SOUTH
    assert asking["client"].get(there).status_code == 404
    for kind in ("DiagnosticReport", "Device"):
        said = asking["client"].get(f"/fhir/R4/{kind}").text
        assert [word for word in stored.words if word in said] == []


@pytest.mark.parametrize("query", [{"q": NAME}, {"q": NAME[-2:]}, {"order": "worklist"}])
def test_no_search_and_no_order_finds_another_sites_slides(asking, stored: Stored, query: dict):
    assert len(asking["client"].get(f"{API}/slides", params=query).json()["items"]) == 1
    asking["who"] = SOUTH
    assert asking["client"].get(f"{API}/slides", params=query).json()["items"] == []


def test_a_list_that_is_narrowed_to_another_sites_slide_is_empty(asking, stored: Stored):
    asking["who"] = SOUTH
    params = {"slide_id": stored.paths["slide_id"]}
    assert asking["client"].get(f"{API}/frames", params=params).json()["items"] == []


def test_a_stream_tells_of_its_listeners_sites_alone(api_settings: ApiSettings, factory: Factory):
    asking = {"who": SOUTH}
    with _serving(api_settings, asking) as address:
        other = Stream(address)
        other.next("everything")
        asking["who"] = NORTH
        ours = Stream(address)
        ours.next("everything")
        for number in range(30):  # until the server listens to PostgreSQL
            factory.device(f"probe-{number}")
            with contextlib.suppress(queue.Empty):
                ours.next("devices", timeout_s=1)
                break
        slide = factory.slide()
        assert ours.next("slide") == {"slide_id": str(slide.slide_id)}
    assert {kind for kind, _ in other.rest()} <= {"everything"}


@contextlib.contextmanager
def _serving(api_settings: ApiSettings, asking: dict[str, Principal]) -> Iterator[str]:
    port = free_port()
    server = make_server(api_settings.model_copy(update={"port": port}))
    server.config.app.dependency_overrides[principal_of] = lambda: asking["who"]
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
