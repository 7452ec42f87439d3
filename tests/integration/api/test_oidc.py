"""Logging in at a real identity provider, npm's oidc-provider; what may go wrong, each in words."""

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from pydantic import HttpUrl, SecretStr, ValidationError

from hemaline_cloud.api.server import make_app
from hemaline_cloud.people import verbs
from hemaline_cloud.settings import ApiSettings, MigrateSettings, OidcRule, OidcSettings
from parts.oidc import CLIENT_SECRET, OidcPart, oidc_script
from parts.people import local_account

__all__ = ["oidc_script"]

HTML = {"Accept": "text/html"}
PUBLIC = "http://testserver/"
RULES = (
    OidcRule(group="blood-doctors", role="haematologist", site="north"),
    OidcRule(group="it", role="operator"),
)


@pytest.fixture(scope="session")
def provider(oidc_script: Path) -> Iterator[OidcPart]:
    """One for all tests: node takes a moment."""
    part = OidcPart(oidc_script, [f"{PUBLIC}log-in/oidc/callback"])
    part.start()
    yield part
    part.stop()


def with_oidc(settings: ApiSettings, provider: OidcPart) -> ApiSettings:
    oidc = OidcSettings(
        issuer=HttpUrl(provider.issuer),
        client_id="hemaline",
        client_secret=SecretStr(CLIENT_SECRET),
        scopes="openid profile groups",
        rules=RULES,
    )
    return settings.model_copy(update={"oidc": oidc, "public_url": HttpUrl(PUBLIC)})


@dataclass
class Browser:
    """Two jars of cookies, as a browser has them: ours, and the provider's."""

    ours: TestClient
    theirs: httpx2.Client

    def depart(self, return_to: str = "/", *, again: bool = False) -> str:
        """Go to the provider and through it; return the address that it sends us back to."""
        query = {"return_to": return_to} | ({"again": "1"} if again else {})
        answer = self.ours.get("/log-in/oidc", params=query, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        address = answer.headers["location"]
        assert parse_qs(urlsplit(address).query)["code_challenge_method"] == ["S256"]
        while not address.startswith(PUBLIC):
            answer = self.theirs.get(address)
            address = str(answer.url.join(answer.headers["location"]))
        return address

    def arrive(self, address: str) -> httpx2.Response:
        return self.ours.get(address, headers=HTML, follow_redirects=False)

    def session(self) -> dict:
        return self.ours.get("/api/v1/session").json()


@pytest.fixture
def browser(api_settings: ApiSettings, provider: OidcPart) -> Iterator[Browser]:
    with TestClient(make_app(with_oidc(api_settings, provider))) as ours, httpx2.Client() as theirs:
        yield Browser(ours, theirs)


def test_a_person_of_a_group_comes_in_with_its_role_and_site(browser: Browser, provider: OidcPart):
    provider.let_sit("ada", "blood-doctors", "canteen", name="Ada Lovelace")
    assert "/log-in/oidc?return_to=/problems" in browser.ours.get(
        "/log-in", params={"return_to": "/problems"}
    ).text.replace("%2F", "/")
    answer = browser.arrive(browser.depart("/problems"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/problems")
    told = browser.session()
    assert (told["name"], told["full_name"]) == ("ada", "Ada Lovelace")
    assert told["grants"] == [{"role": "haematologist", "site": "north"}]
    assert browser.ours.get("/problems", headers=HTML).status_code == 200


def test_groups_are_asked_anew_at_each_log_in(browser: Browser, provider: OidcPart):
    provider.let_sit("ben", "blood-doctors")
    browser.arrive(browser.depart())
    provider.let_sit("ben", "it")
    browser.arrive(browser.depart())
    assert browser.session()["grants"] == [{"role": "operator", "site": "*"}]
    provider.let_sit("ben")
    browser.arrive(browser.depart())
    answer = browser.ours.get("/", headers=HTML)
    assert answer.status_code == 403
    assert "no role here yet" in answer.text


def test_tabs_log_in_beside_each_other(browser: Browser, provider: OidcPart):
    provider.let_sit("cleo", "it")
    addresses = [browser.depart(page) for page in ("/devices", "/problems")]
    answers = [browser.arrive(address) for address in addresses]
    assert [answer.status_code for answer in answers] == [303, 303], answers[-1].text
    assert [answer.headers["location"] for answer in answers] == ["/devices", "/problems"]


def test_a_replayed_return_is_refused_in_words(browser: Browser, provider: OidcPart):
    provider.let_sit("dora", "it")
    address = browser.depart()
    assert browser.arrive(address).status_code == 303
    browser.ours.cookies.delete("hemaline_session")
    answer = browser.arrive(address)
    assert answer.status_code == 400
    assert "This log-in was used already, took too long, or began in another browser." in (
        answer.text
    )
    assert browser.ours.get("/api/v1/session").status_code == 401


def test_a_return_to_another_browser_is_refused(browser: Browser, provider: OidcPart):
    """Or somebody could log a victim in as themselves."""
    provider.let_sit("eve", "it")
    address = browser.depart()
    browser.ours.cookies.clear()
    answer = browser.arrive(address)
    assert answer.status_code == 400
    assert "began in another browser" in answer.text


def test_a_code_of_another_log_in_is_refused(browser: Browser, provider: OidcPart):
    provider.let_sit("finn", "it")
    first, second = browser.depart(), browser.depart()
    code = re.search(r"code=([^&]+)", first)
    assert code
    answer = browser.arrive(re.sub(r"code=[^&]+", f"code={code[1]}", second))
    assert answer.status_code == 400
    assert "an answer that does not hold" in answer.text


def test_whoever_is_not_let_in_there_is_told(browser: Browser, provider: OidcPart):
    provider.let_sit("")
    answer = browser.arrive(browser.depart())
    assert answer.status_code == 403
    assert "The log-in service did not let you in." in answer.text


def test_a_provider_that_is_away_is_a_passing_problem(api_settings: ApiSettings, oidc_script):
    away = OidcPart(oidc_script, [])  # never started
    with TestClient(make_app(with_oidc(api_settings, away))) as ours:
        answer = ours.get("/log-in/oidc", headers=HTML)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "an account of this system works meanwhile" in answer.text
        assert ours.get("/log-in").status_code == 200


def part_of_token(part: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def spelled(part: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def another_person(id_token: str) -> str:
    header, claims, signature = id_token.split(".")
    return ".".join([header, spelled(part_of_token(claims) | {"sub": "the-chief"}), signature])


def without_signature(id_token: str) -> str:
    return ".".join([spelled({"alg": "none"}), id_token.split(".")[1], ""])


def without_a_letter(id_token: str) -> str:
    return id_token[:-5] + id_token[-4:]


def signed_by_another_key(id_token: str) -> str:
    header, claims, _ = id_token.split(".")
    kid = part_of_token(header)["kid"]
    key = RSAKey.generate_key(2048, {"kid": kid})
    return jwt.encode({"alg": "RS256", "kid": kid}, part_of_token(claims), key)


def signed_by_a_secret(id_token: str) -> str:
    """What the client's own secret signs, anybody at the lab could have written."""
    claims = part_of_token(id_token.split(".")[1])
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))


@pytest.mark.parametrize(
    "forge",
    [
        another_person,
        without_signature,
        without_a_letter,
        signed_by_another_key,
        signed_by_a_secret,
    ],
)
def test_a_forged_token_lets_nobody_in(
    browser: Browser, provider: OidcPart, monkeypatch: pytest.MonkeyPatch, forge
):
    provider.let_sit("ada", "blood-doctors")
    address = browser.depart()
    fetch = OAuth2Client.fetch_token

    def fetch_forged(self, *args, **kwargs):
        token = fetch(self, *args, **kwargs)
        return token | {"id_token": forge(token["id_token"])}

    monkeypatch.setattr(OAuth2Client, "fetch_token", fetch_forged)
    answer = browser.arrive(address)
    assert answer.status_code == 400
    assert "gave an answer that does not hold" in answer.text
    assert browser.session()["reason"] == "not-logged-in"


@pytest.mark.parametrize(("off_s", "status"), [(30, 303), (-30, 303), (900, 400), (-1800, 400)])
def test_clocks_may_differ_a_little_and_more_is_told(
    api_settings: ApiSettings, oidc_script: Path, off_s: int, status: int
):
    skewed = OidcPart(oidc_script, [f"{PUBLIC}log-in/oidc/callback"], clock_off_s=off_s)
    skewed.start()
    try:
        skewed.let_sit("gus", "it")
        with (
            TestClient(make_app(with_oidc(api_settings, skewed))) as ours,
            httpx2.Client() as theirs,
        ):
            browser = Browser(ours, theirs)
            answer = browser.arrive(browser.depart())
    finally:
        skewed.stop()
    assert answer.status_code == status
    assert ("The clocks of the log-in service and of this server" in answer.text) is (status == 400)


def test_a_local_account_is_never_taken_over_by_its_name(
    browser: Browser, provider: OidcPart, database_url: str
):
    local_account(database_url, "hal")
    provider.let_sit("hal", "it")
    browser.arrive(browser.depart())
    told = browser.session()
    assert told["name"] == "hal@127.0.0.1"
    assert told["grants"] == [{"role": "operator", "site": "*"}]


def test_whoever_was_discarded_here_stays_out(
    browser: Browser, provider: OidcPart, api_settings: ApiSettings
):
    provider.let_sit("ivy", "it")
    browser.arrive(browser.depart())
    settings = MigrateSettings(database_url=api_settings.database_url)
    verbs.change_state(settings, "ivy", "discarded", lambda _: None)
    assert browser.ours.get("/api/v1/session").status_code == 401
    answer = browser.arrive(browser.depart())
    assert answer.status_code == 403
    assert "Your account here is closed." in answer.text


def test_before_signing_the_provider_asks_again(browser: Browser, provider: OidcPart):
    provider.let_sit("joan", "it")
    browser.arrive(browser.depart())
    before = browser.session()["authenticated_at"]
    browser.arrive(browser.depart())
    assert browser.session()["authenticated_at"] == before, "a log-in without a question is none"
    time.sleep(1.1)  # the provider tells whole seconds
    browser.arrive(browser.depart(again=True))
    assert browser.session()["authenticated_at"] > before


def test_without_a_way_back_oidc_is_refused_at_the_start(api_settings: ApiSettings):
    oidc = {"issuer": "https://id.example", "client_id": "x", "rules": []}
    with pytest.raises(ValidationError, match="HEMALINE_PUBLIC_URL"):
        ApiSettings.model_validate({**api_settings.model_dump(), "oidc": oidc})
    plain = {**oidc, "issuer": "http://id.example"}
    with pytest.raises(ValidationError, match="reached by https"):
        OidcSettings.model_validate(plain)
