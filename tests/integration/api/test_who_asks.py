"""Nobody reads anything without saying who they are; whoever may no more, is out at once."""

import re
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from factories import Factory
from hemaline_cloud.api.authentication import COOKIE, PUBLIC
from hemaline_cloud.api.fhir.answers import ROOT
from hemaline_cloud.api.routes import events
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.people import set_state
from hemaline_cloud.people import verbs
from hemaline_cloud.settings import MigrateSettings
from parts.people import LoggedIn, local_account, logged_in
from parts.routes import routes_below
from parts.waiting import LONG_S

HTML = {"Accept": "text/html"}


@pytest.fixture
def settings(api_settings) -> MigrateSettings:
    return MigrateSettings(database_url=api_settings.database_url)


def every_address(client: TestClient) -> list[tuple[str, str]]:
    found = []
    for route in routes_below(client.app):
        if route.path not in PUBLIC:
            some = re.sub(r"\{[^}]+\}", "0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f", route.path)
            found += [(method, some) for method in sorted(route.methods or ())]
    return found


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


def log_in(client: TestClient, name: str, password: str, **more: str):
    form = {"csrf": csrf_of(client.get("/log-in").text), "name": name, "password": password}
    return client.post("/log-in", data=form | more, follow_redirects=False)


def test_every_route_but_the_public_ones_wants_to_know_who_asks(anybody: TestClient):
    addresses = every_address(anybody)
    assert len(addresses) > 20
    for method, address in addresses:
        answer = anybody.request(method, address)
        assert answer.status_code == 401, (method, address)
        if address.startswith(ROOT):
            assert answer.json()["issue"][0]["code"] == "login"
        elif method != "HEAD":
            assert answer.json()["reason"] == "not-logged-in"
        assert answer.headers["www-authenticate"] == 'Bearer realm="Hemaline"'


def test_health_log_in_and_static_files_are_for_anybody(anybody: TestClient):
    for address in ("/healthz", "/readyz", "/log-in", "/static/hemaline.css"):
        assert anybody.get(address).status_code == 200


def test_a_person_is_sent_to_the_log_in_and_comes_back_to_the_page(
    anybody: TestClient, database_url: str
):
    password = local_account(database_url, "ada")
    answer = anybody.get("/problems?kind=rejected", headers=HTML, follow_redirects=False)
    assert answer.status_code == 303
    page = anybody.get(answer.headers["location"])
    return_to = re.search(r'name="return_to" value="([^"]+)"', page.text)
    assert return_to
    form = {"csrf": csrf_of(page.text), "name": "Ada", "password": password}
    form["return_to"] = return_to[1]
    answer = anybody.post("/log-in", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/problems?kind=rejected")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert anybody.get("/problems?kind=rejected", headers=HTML).status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example", "/\nx", "/log-in"]
)
def test_a_log_in_never_leads_to_another_host(anybody, database_url: str, elsewhere: str):
    password = local_account(database_url, "ada")
    answer = log_in(anybody, "ada", password, return_to=elsewhere)
    assert answer.headers["location"] == "/"


def test_by_tls_the_cookie_is_sent_by_tls_only(anybody: TestClient, database_url: str):
    password = local_account(database_url, "ada")
    anybody.base_url = "https://testserver"
    assert "secure" in log_in(anybody, "ada", password).headers["set-cookie"].lower()


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(anybody, database_url: str):
    local_account(database_url, "ada")
    answers = [log_in(anybody, name, "not the password") for name in ("ada", "nobody")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert all("Name or password is wrong." in answer.text for answer in answers)


def test_many_wrong_passwords_lock_the_name_out_for_a_while(anybody, database_url: str):
    password = local_account(database_url, "ada")
    for _ in range(5):
        assert log_in(anybody, "ada", "wrong").status_code == 401
    answer = log_in(anybody, "ada", password)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 31
    assert "Too many wrong attempts. Try again in" in answer.text
    assert log_in(anybody, "nobody", "wrong").status_code == 401
    with unit_of_work(anybody.app.state.context.authenticator.engine) as connection:
        connection.exec_driver_sql("update log_in_failures set last_at = now() - interval '1 min'")
    assert log_in(anybody, "ada", password).status_code == 303
    with unit_of_work(anybody.app.state.context.authenticator.engine) as connection:
        left = connection.exec_driver_sql("select count(*) from log_in_failures").scalar_one()
    assert left == 1


def test_attempts_at_the_same_time_are_no_way_around_the_lock(anybody, database_url: str):
    local_account(database_url, "ada")
    form = {"csrf": csrf_of(anybody.get("/log-in").text), "name": "ada", "password": "wrong"}
    answers: list[int] = []

    def attempt() -> None:
        answers.append(anybody.post("/log-in", data=form).status_code)

    threads = [threading.Thread(target=attempt) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [401] * 5 + [429] * 4


def test_attempts_from_one_address_are_limited(anybody: TestClient):
    limit = anybody.app.state.context.log_in_limit  # type: ignore[attr-defined]
    limit._burst, limit._per_s = 2, 0.01
    form = {"csrf": "", "name": "x", "password": ""}
    answers = [anybody.post("/log-in", data=form) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_a_log_in_form_that_another_page_made_is_refused(anybody: TestClient, database_url: str):
    password = local_account(database_url, "ada")
    anybody.get("/log-in")
    form = {"csrf": "0" * 64, "name": "ada", "password": password}
    answer = anybody.post("/log-in", data=form)
    assert answer.status_code == 403
    assert COOKIE not in anybody.cookies


def test_a_change_wants_the_sessions_own_token(client: TestClient):
    del client.headers["X-CSRF-Token"]
    answer = client.post("/log-out")
    assert (answer.status_code, answer.json()["reason"]) == (403, "csrf-token-wrong")
    other = client.post("/log-out", headers={"X-CSRF-Token": "0" * 64})
    assert other.status_code == 403


def test_log_out_ends_the_session_and_clears_the_browser(client: TestClient, person: LoggedIn):
    answer = client.post("/log-out", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    again = client.get("/api/v1/slides", headers={"Cookie": f"{COOKIE}={person.secret}"})
    assert again.status_code == 401


def test_a_session_and_a_token_tell_who_asks(client: TestClient, person: LoggedIn):
    told = client.get("/api/v1/session").json()
    assert told["name"] == person.name
    assert told["csrf_token"] == person.changing["X-CSRF-Token"]
    client.cookies.clear()
    told = client.get("/api/v1/session", headers=person.bearer).json()
    assert (told["scopes"], told["csrf_token"]) == (["metrics", "read", "write"], None)


UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."
"""`{"alg": "none"}`, `{"sub": "admin"}`, and no signature."""


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: UNSIGNED,
        lambda _: f"hml_{'A' * 43}",
        lambda token: token[:-1],
        lambda token: token.upper(),
        lambda _: "",
        lambda _: "' or true --",
    ],
    ids=["unsigned", "made-up", "cut", "other-case", "empty", "sql"],
)
def test_a_token_that_nobody_gave_out_is_refused(anybody: TestClient, person: LoggedIn, forge):
    for headers in (
        {"Authorization": f"Bearer {forge(person.token)}"},
        {"Cookie": f"{COOKIE}={forge(person.secret)}"},
    ):
        answer = anybody.get("/api/v1/slides", headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (401, "not-logged-in")


def test_a_session_is_no_token_and_a_token_no_session(anybody: TestClient, person: LoggedIn):
    for headers in (
        {"Authorization": f"Bearer {person.secret}"},
        {"Cookie": f"{COOKIE}={person.token}"},
        {"Authorization": f"Basic {person.token}"},
    ):
        assert anybody.get("/api/v1/slides", headers=headers).status_code == 401


def test_a_token_that_has_ended_is_refused(anybody: TestClient, person: LoggedIn):
    assert anybody.get("/api/v1/slides", headers=person.bearer).status_code == 200
    with unit_of_work(anybody.app.state.context.authenticator.engine) as connection:
        connection.exec_driver_sql("update api_tokens set ends_at = now()")
    assert anybody.get("/api/v1/slides", headers=person.bearer).status_code == 401


def test_no_page_lets_scripts_be_inline_or_made_of_text(client: TestClient, factory: Factory):
    slide = factory.slide()
    factory.field(slide)
    pages = ["/", f"/slides/{slide.slide_id}", "/account", "/people", "/log-in?again=1"]
    for address in pages:
        answer = client.get(address, headers=HTML)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", answer.text)


def test_a_session_ends_when_nobody_used_it(client: TestClient):
    engine = client.app.state.context.authenticator.engine  # type: ignore[attr-defined]
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("update sessions set seen_at = now() - interval '59 min'")
    live = {"X-Refresh": "live"}
    assert client.get("/api/v1/slides", headers=live).status_code == 200
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("update sessions set seen_at = seen_at - interval '2 min'")
    assert client.get("/api/v1/slides").status_code == 401


def test_use_keeps_a_session_open_until_the_shift_is_over(client: TestClient):
    engine = client.app.state.context.authenticator.engine  # type: ignore[attr-defined]
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("update sessions set seen_at = now() - interval '59 min'")
    assert client.get("/api/v1/slides").status_code == 200
    with unit_of_work(engine) as connection:
        idle = connection.exec_driver_sql("select now() - seen_at < '1 min' from sessions")
        assert idle.scalar_one()
        connection.exec_driver_sql("update sessions set ends_at = now()")
    assert client.get("/api/v1/slides").status_code == 401


def test_a_leavers_session_token_and_stream_end(
    api_address: str, database_url: str, settings: MigrateSettings, monkeypatch
):
    assert events._HEARTBEAT_S + events._CHECK_S < 60
    monkeypatch.setattr(events, "_HEARTBEAT_S", 0.2)
    monkeypatch.setattr(events, "_CHECK_S", 0.2)
    leaver = logged_in(database_url)
    request = urllib.request.Request(f"{api_address}/api/v1/events", headers=leaver.bearer)
    ended = threading.Event()

    def listen() -> None:
        with urllib.request.urlopen(request, timeout=LONG_S) as stream:
            for _ in stream:
                pass
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    assert not ended.wait(1)
    verbs.change_state(settings, leaver.name, "discarded", lambda _: None)
    assert ended.wait(LONG_S)
    for shown in (leaver.bearer, {"Cookie": f"{COOKIE}={leaver.secret}"}):
        asked = urllib.request.Request(f"{api_address}/api/v1/slides", headers=shown)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(asked, timeout=LONG_S)


def test_whoever_is_paused_comes_back_by_logging_in(client, database_url: str, person: LoggedIn):
    engine = client.app.state.context.authenticator.engine
    with unit_of_work(engine) as connection:
        set_state(connection, person.person_id, "paused")
    assert client.get("/api/v1/slides").status_code == 401
    assert client.get("/api/v1/slides", headers=person.bearer).status_code == 401
    with unit_of_work(engine) as connection:
        set_state(connection, person.person_id, "active")
    assert client.get("/api/v1/slides").status_code == 401
    assert client.get("/api/v1/slides", headers=person.bearer).status_code == 200


def test_without_a_role_a_page_says_so(anybody: TestClient, database_url: str):
    nobody = logged_in(database_url, roles=())
    anybody.cookies.update(nobody.cookies)
    answer = anybody.get("/", headers=HTML)
    assert answer.status_code == 403
    assert "you have no role here yet" in answer.text
    assert anybody.get("/api/v1/slides").json()["reason"] == "no-role"


@pytest.mark.parametrize(("roles", "status"), [(("operator",), 200), (("technologist",), 403)])
def test_metrics_are_for_operators(anybody, database_url: str, roles, status: int):
    anybody.cookies.update(logged_in(database_url, roles=roles).cookies)
    assert anybody.get("/metrics").status_code == status


def test_a_page_of_another_name_reads_nothing(client: TestClient):
    answer = client.get("/api/v1/slides", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["reason"]) == (421, "unknown-host")
    assert client.get("/api/v1/slides", headers={"Host": "localhost:8080"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "10.0.0.7:8080"}).status_code == 200


def test_too_many_requests_are_told_when_to_come_again(client: TestClient):
    answers = [client.get("/api/v1/session") for _ in range(1)]
    limit = client.app.state.context.authenticator.limit  # type: ignore[attr-defined]
    limit._left.update(dict.fromkeys(limit._left, (0.0, time.monotonic())))
    limit._per_s = 0.1
    answers.append(client.get("/api/v1/session"))
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["retry-after"] == "10"


@pytest.mark.parametrize("in_parts", [True, False])
def test_nobody_fills_the_memory_with_a_request(anybody: TestClient, in_parts: bool):
    """Not even somebody who never says who they are, nor their length."""
    parts = [b"[" * 65536] * 17
    answer = anybody.post(
        "/api/v1/slides/0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f/labels",
        content=iter(parts) if in_parts else b"".join(parts),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_pages_and_images_are_kept_by_no_browser(client: TestClient, factory: Factory):
    slide = factory.slide()
    frame = factory.field(slide)
    for address in ("/", f"/slides/{slide.slide_id}", f"/api/v1/fields/{frame}/image"):
        assert client.get(address, headers=HTML).headers["cache-control"] == "no-store"


def test_what_comes_back_may_hold_any_letter(anybody: TestClient):
    address = "/slides/S-1?label=a&cursor=%C3%A9\"'<"
    answer = anybody.get("/log-in", params={"return_to": address})
    assert "'<" not in answer.text
    assert quote(address, safe="") not in answer.text
