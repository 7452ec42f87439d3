"""Whatever is sent, the API answers as it says it does."""

import base64
import json
import os
import random
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from factories import Factory
from hemaline_cloud.api.server import make_app
from hemaline_cloud.principal import Role
from hemaline_cloud.settings import ApiSettings
from hemaline_shared.ids import accession
from parts.abusing import Abuse
from parts.people import EVERY_ROLE, LoggedIn, logged_in

LONG = int(os.environ.get("HEMALINE_ABUSE", "0"))
"""Requests an operation and mode, of `make abuse`; 0: a short campaign that is always the same."""

WHO: list[tuple[Role, ...]] = [EVERY_ROLE] + ([(role,) for role in EVERY_ROLE] if LONG else [])


@pytest.mark.timeout(3600 if LONG else 600)
@pytest.mark.parametrize("roles", WHO, ids="-".join)
def test_every_answer_is_one_that_the_description_promises(
    api_settings: ApiSettings, database_url: str, factory: Factory, roles: tuple[Role, ...]
):
    """No 5xx, no status and no body that is not described, no 422 of what the schema allows."""
    app = make_app(api_settings.model_copy(update={"requests_per_minute": 1_000_000}))
    with TestClient(app) as client:
        abuse = Abuse(client, names_of_what_is_stored(factory), LONG or 3)
        abuse.seed = random.randrange(2**32) if LONG else 0
        abuse.ask_everything(app, logged_in(database_url, roles))
    shown = "\n".join(f"{fault}\n    {request}" for fault, request in abuse.faults.items())
    assert not abuse.faults, f"seed {abuse.seed}, {dict(abuse.statuses)}:\n{shown}"
    assert abuse.statuses[200] > 100


def names_of_what_is_stored(factory: Factory) -> dict[str, str]:
    slide = factory.slide()
    frame = factory.field(slide)
    factory.trained_result(slide)
    order = factory.order(slide, "24-00017")
    factory.device()
    return {
        "slide_id": str(slide.slide_id),
        "frame_id": str(frame),
        "cell_id": str(next(iter(slide.labels))),
        "signature_id": str(factory.signature(slide)),
        "order_id": str(order),
        "name": str(slide.slide_id),
        "revision": "1",
    }


@pytest.fixture
def stored(factory: Factory) -> dict[str, str]:
    return names_of_what_is_stored(factory)


JSON = {"Content-Type": "application/json"}

BODIES = {
    "not UTF-8": b'{"text": "\xff"}',
    "not JSON": b'{"text": ',
    "no body": b"",
    "deep": b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a NUL": b'{"text": "a\\u0000b"}',
    "a lone surrogate": b'{"text": "\\ud800"}',
    "spaces": b'{"text": "  \\t "}',
    "another type": b'{"text": {"a": 1}}',
    "another part": b'{"text": "a", "by": "p-2"}',
    "too long": b'{"text": "' + b"a" * 4001 + b'"}',
    "a number of a million digits": b'{"text": ' + b"9" * 500_000 + b"}",
}


TAGS = ["*", "v1", '"v1", "v2"', 'W/"v0"', '"v-1"', '"v00"', f'"v{2**63}"', '"v\u0661"', '"v0"x']

CURSORS = [
    "rubbish",
    "é",
    '["2026-01-01T00:00:00Z"]',
    '["0001-01-01T00:00:00+14:00","01a22672-ad78-7e8a-8dd7-b5829389458c"]',
    '["9999-12-31T23:59:59-14:00","01a22672-ad78-7e8a-8dd7-b5829389458c"]',
    f"[{2**70}]",
    str(2**70),
    '["a\\u0000","b"]',
    "NaN",
    "[" * 300,
]

ENDS = [
    ("ordered_at", "0001-01-01T00:00:00+14:00"),
    ("ordered_at", "9999-12-31T23:59:59-14:00"),
    ("ordered_at", 1e300),
    ("blood_count", {"wbc": {"value": 10**400}}),
    ("patient", {"identifier": "1", "name": "Erin", "birth_date": "0001-01-01"}),
    ("patient", {"identifier": "1", "name": "Erin", "birth_date": "9999-12-31"}),
    ("site", ""),
    ("site", "../north"),
]

LETTERS = ["%00", "%0b", "%1c", "%ff", "%ed%a0%80", "%E2%80%AE"]


def test_a_body_that_cannot_be_stored_is_refused_in_a_sentence(
    client: TestClient, stored: dict[str, str]
):
    address = f"/api/v1/slides/{stored['slide_id']}/comments"
    for kind, body in BODIES.items():
        refused = client.post(address, content=body, headers=JSON)
        told = refused.json()
        assert (refused.status_code, told["reason"]) == (422, "invalid-request"), kind
        assert 10 < len(told["detail"]) < 500, kind
    assert client.get(address).json() == {"comments": []}
    assert client.post(address, content=b"a" * 2_000_000).status_code == 413
    twice = client.post(address, content=b'{"text": "a", "text": "b"}', headers=JSON)
    assert twice.json()["text"] == "b", "as JSON is read everywhere"


def test_an_if_match_that_names_no_version_is_412(client: TestClient, stored: dict[str, str]):
    for tag in TAGS:
        answer = client.put(
            f"/api/v1/cells/{stored['cell_id']}/label",
            json={"label": "blast"},
            headers={"If-Match": tag.encode()},
        )
        assert answer.status_code == 412, tag


def test_no_cursor_of_rubbish_breaks_a_list(client: TestClient, stored: dict[str, str]):
    slide = f"/api/v1/slides/{stored['slide_id']}"
    lists = ["/api/v1/slides", f"{slide}/fields", f"{slide}/cells", f"{slide}/revisions"]
    lists += [f"{slide}/timeline", "/api/v1/frames", "/api/v1/dead-letters", "/api/v1/devices"]
    lists += ["/api/v1/bundles", "/fhir/R4/DiagnosticReport", "/"]
    for content in CURSORS:
        cursor = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")
        for address in lists:
            answer = client.get(address, params={"cursor": cursor})
            assert answer.status_code in {200, 400, 422}, (address, content)


def test_dates_and_numbers_at_the_ends_are_refused(client: TestClient):
    for part, value in ENDS:
        order = {"barcode": "24-00018", "site": "north", part: value}
        sent = client.post("/api/v1/orders", content=json.dumps(order), headers=JSON)
        assert sent.status_code == 422, (part, value)


def test_fhir_tells_of_whatever_was_sent_in_its_own_form(client: TestClient):
    for letter in LETTERS:
        for kind in ("Patient", "Media", "Device", "DiagnosticReport"):
            for address in (f"{kind}?{letter}=1", f"{kind}/a{letter}b", f"{kind}?_id={letter}"):
                answer = client.get(f"/fhir/R4/{address}")
                assert answer.status_code in {200, 400, 404}, address
                assert answer.json()["resourceType"] in {"OperationOutcome", "Bundle"}
    for body in (b"\xff", BODIES["deep"], b"[]", b"{}", b'{"resourceType": "Patient"}'):
        answer = client.post("/fhir/R4/ServiceRequest?site=north", content=body, headers=JSON)
        assert answer.status_code in {400, 422}
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_script_that_somebody_writes_is_shown_as_text(
    client: TestClient, factory: Factory, person: LoggedIn
):
    """In pages, where it would run, and in the answers of problems that name what was asked."""
    script = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    slide = factory.slide(slide_name=script)
    factory.field(slide)
    factory.trained_result(slide)
    factory.order(slide, "<b>24-1", name=script)
    api = f"/api/v1/slides/{slide.slide_id}"
    assert client.post(f"{api}/comments", json={"text": script}).status_code == 200
    step = {"step": "call-unfit", "reason": script}
    version = {"If-Match": client.get(f"{api}/review").headers["ETag"]}
    assert client.post(f"{api}/review", json=step, headers=version).status_code == 200
    name = accession(slide.slide_id)
    page = {"Accept": "text/html"}
    addresses = ["/", f"/slides/{name}", f"/slides/{name}/timeline"]
    addresses += [f"/slides/{name}?label={quote(script)}", f"/slides/{quote(script)}"]
    addresses += [f"/devices/north/{quote(script)}", f"/?q={quote(script)}", f"/{quote(script)}"]
    for address in addresses:
        answer = client.get(address, headers=page)
        assert "<script>alert" not in answer.text, address
        assert "<img src=x" not in answer.text, address
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
    assert "&lt;script&gt;" in client.get(f"/slides/{name}", headers=page).text
    told = client.get(f"/api/v1/{script}")
    assert told.headers["Content-Type"] == "application/problem+json"
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"{api}/report.pdf").content.startswith(b"%PDF")


def test_no_address_leads_out_of_what_is_served(client: TestClient):
    for path in (
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e%2f%2e%2e%2fsettings.py",
        "/static//etc/passwd",
        "/static/%00",
        "/uploads/../fields/x",
        "/api/v1/../../etc/passwd",
    ):
        assert client.get(path).status_code in {403, 404, 405}, path


def test_no_token_of_another_making_is_taken(anybody: TestClient, person: LoggedIn):
    def part(content: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    claims = part({"sub": str(person.person_id), "roles": ["admin"], "exp": 2**40})
    unsigned = f"{part({'alg': 'none', 'typ': 'JWT'})}.{claims}."
    forged = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{claims}.{part({})}"
    altered = person.token[:-1] + ("a" if person.token[-1] != "a" else "b")
    for token in (unsigned, forged, altered, person.token[:-1], f"{person.token}a", "", " ", "é"):
        for sent in (
            {"Authorization": f"Bearer {token}".encode()},
            {"Cookie": f"hemaline_session={token}".encode()},
        ):
            answer = anybody.get("/api/v1/session", headers=sent)
            assert answer.status_code == 401, token
    assert anybody.get("/api/v1/session", headers=person.bearer).status_code == 200


def test_no_header_says_who_asks_or_where(anybody: TestClient, client: TestClient):
    for name in ("X-Forwarded-User", "Remote-User", "X-Forwarded-For", "X-Original-URL"):
        answer = client.get("/api/v1/session", headers={name: "admin", "Cookie": ""})
        assert answer.status_code == 401, name
    for host in ("evil.example", "testserver.evil.example", "testserver:80@evil.example", ""):
        assert anybody.get("/log-in", headers={"Host": host}).status_code == 421, host
    named = client.get("/fhir/R4/metadata", headers={"X-Forwarded-Host": "evil.example"})
    assert "evil" not in named.text
