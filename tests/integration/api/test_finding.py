"""Slides are found by code and by name, and no name stands in an address, a log or a record."""

import logging
import re
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from factories import Factory, SlideMade
from hemaline_cloud.api.server import make_app
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import service
from hemaline_shared.ids import accession
from parts.ordering import ERIN, Orders
from parts.people import LoggedIn, as_person, logged_in
from parts.postgres import as_owner
from parts.signing import sign_slide

NAME, WORD, IDENTIFIER, BORN = "Zwetschgenbaum, Ottilie", "zwetschgenbaum", "PLANTED-4711", "1931"
PATIENT = {"identifier": IDENTIFIER, "name": NAME, "birth_date": f"{BORN}-05-17"}


@pytest.fixture
def slide(factory: Factory) -> SlideMade:
    made = factory.slide(slide_name="LAB-77")
    factory.field(made)
    factory.trained_result(made)
    return made


@pytest.fixture
def linked(client: TestClient, slide: SlideMade) -> SlideMade:
    orders = Orders(client)
    orders.add("24-00017", patient=PATIENT)
    assert orders.link(slide, "24-00017").status_code == 200
    return slide


def search(client: TestClient, words: str, **more) -> list[str]:
    answer = client.post("/api/v1/slides/search", json={"words": words, **more})
    assert answer.status_code == 200, answer.text
    return [one["slide_id"] for one in answer.json()["items"]]


def find(client: TestClient, words: str, **more: str) -> Response:
    """Search on the worklist's page; its form has the session's token."""
    page = client.get("/").text
    csrf = re.search(r'action="/find".*?name="csrf" value="([^"]+)"', page, re.DOTALL)
    assert csrf
    return client.post("/find", data={"csrf": csrf[1], "words": words, **more})


@pytest.mark.parametrize(
    "words",
    ["24-00017", "24-000", "24-00017\n", WORD, "Ottilie  ZWETSCHGENBAUM", IDENTIFIER, "LAB"],
)
def test_a_slide_is_found_by_its_code_and_by_whose_it_is(client, factory, linked, words):
    factory.slide()
    assert search(client, words) == [str(linked.slide_id)]


@pytest.mark.parametrize("words", ["24-00018", "zwetschgen", "ottilie example", "4711"])
def test_what_nothing_is_called_finds_nothing(client, linked, words):
    assert search(client, words) == []


def test_each_page_of_a_search_goes_on_where_the_last_ended(client, factory: Factory, linked):
    second = factory.slide(specimen_id=linked.specimen_id)
    assert Orders(client).link(second, "24-00017").status_code == 200
    first = client.post("/api/v1/slides/search", json={"words": WORD, "limit": 1}).json()
    rest = search(client, WORD, limit=1, cursor=first["next"])
    assert {first["items"][0]["slide_id"], *rest} == {str(second.slide_id), str(linked.slide_id)}


def test_who_may_not_know_a_name_cannot_find_by_it(anybody, database_url, client, linked):
    for role, site, found in (
        ("technologist", "north", True),
        ("operator", "north", False),
        ("haematologist", "south", False),
    ):
        as_person(anybody, logged_in(database_url, (role,), site))
        assert bool(search(anybody, WORD)) is found
        assert bool(search(anybody, "24-00017")) is (site == "north")
        page = anybody.get("/").text
        assert (NAME in page) is found


def test_a_token_that_only_reads_may_search(anybody, person: LoggedIn, client, linked):
    anybody.cookies.clear()
    answer = anybody.post("/api/v1/slides/search", json={"words": WORD}, headers=person.bearer)
    assert answer.status_code == 200


def test_the_worklist_finds_with_the_words_sealed_in_its_address(client, factory, linked):
    other = factory.slide()
    answer = find(client, WORD)
    assert answer.history[0].status_code == 303
    assert WORD not in unquote(str(answer.url)).casefold()
    assert accession(linked.slide_id) in answer.text
    assert accession(other.slide_id) not in answer.text
    assert NAME in answer.text
    assert f'value="{WORD}"' in answer.text
    assert client.get(str(answer.url)).text.count(NAME) == answer.text.count(NAME), "read again"


def test_a_search_keeps_the_tab_it_was_made_on(client, linked):
    answer = find(client, WORD, review="signed")
    assert "review=signed" in str(answer.url)
    assert accession(linked.slide_id) not in answer.text


def test_a_sealed_search_opens_for_nobody_else_and_nonsense_shows_all(
    anybody, database_url, client, factory, linked
):
    other = factory.slide()
    address = str(find(client, WORD).url)
    as_person(anybody, logged_in(database_url))
    for asked in (address, "/?find=nonsense", "/?find=a.b%FF", "/?find=.", f"{address}x"):
        answer = anybody.get(asked)
        assert answer.status_code == 200
        assert accession(other.slide_id) in answer.text


def test_without_a_key_the_worklist_searches_as_before(api_settings, person, factory: Factory):
    slide = factory.slide(slide_name="LAB-77")
    off = api_settings.model_copy(update={"identity_key": None})
    with TestClient(make_app(off)) as client:
        as_person(client, person)
        page = client.get("/?q=LAB").text
        assert accession(slide.slide_id) in page
        assert 'action="/find"' not in page
        assert str(client.post("/find", data={"words": WORD}).url).endswith("/")
        card = client.get(f"/slides/{slide.slide_id}").text
        assert 'id="link-form"' not in card


def test_a_planted_name_stands_nowhere_but_sealed(
    client, database_url, factory: Factory, linked, caplog: pytest.LogCaptureFixture
):
    """Every table, log line, address and metric, after all that can be done with a name."""
    caplog.set_level(logging.DEBUG)
    orders = Orders(client)
    asked = [find(client, word) for word in (NAME, IDENTIFIER, WORD)]
    asked += [client.get(address) for address in ("/", f"/slides/{linked.slide_id}")]
    search(client, NAME)
    search(client, IDENTIFIER)
    headers = {"Idempotency-Key": "k-1"}
    body = {"site": "north", "barcode": "24-00018", "patient": PATIENT}
    assert client.post("/api/v1/orders", json=body, headers=headers).status_code == 200
    refused = [
        orders.try_to_add("24-00019", patient=PATIENT | {"birth_date": f"{BORN}-06-01"}),
        orders.try_to_add("24-00019", patient=PATIENT | {"name": f"{NAME}\x00"}),
        orders.try_to_add("24-00019", patient=PATIENT | {"born": NAME}),
    ]
    assert [answer.status_code for answer in refused] == [409, 422, 422]
    sign_slide(client, factory, linked)
    told = client.get(f"/api/v1/slides/{linked.slide_id}/timeline?reads=true").text
    assert NAME in asked[0].text, "it was there to be told"
    places = {
        "the log": caplog.text,
        "the metrics": client.get("/metrics").text,
        "the timeline": told,
        "an address": " ".join(str(one.url) for page in asked for one in [page, *page.history]),
        "a refusal": " ".join(answer.text for answer in refused),
        **_tables(database_url),
    }
    assert {"patients", "audit_events", "outbox", "idempotency_keys"} <= set(places)
    for place, text in places.items():
        for secret in (NAME, WORD, "Ottilie", IDENTIFIER, f"{BORN}-05-17"):
            assert secret.casefold() not in unquote(text).casefold(), place


def _tables(database_url: str) -> dict[str, str]:
    """Every row of every table as text."""
    engine = make_engine(as_owner(database_url), principal=service("tests"))
    with unit_of_work(engine) as connection:
        names = connection.exec_driver_sql(
            "select tablename from pg_tables where schemaname = 'public'"
        ).scalars()
        rows = {
            name: " ".join(connection.exec_driver_sql(f"select t::text from {name} t").scalars())
            for name in names.all()
        }
    engine.dispose()
    assert rows["patients"]
    return rows


def test_erin_is_not_ottilie(client, factory: Factory, linked):
    """Two people who share no word are not found by each other's."""
    orders = Orders(client)
    orders.add("24-00020", patient=ERIN)
    other = factory.slide()
    assert orders.link(other, "24-00020").status_code == 200
    assert search(client, "erin") == [str(other.slide_id)]
