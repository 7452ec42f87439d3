"""The right patient: a slide is linked to an order by its code, or it is told why not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from factories import Factory, SlideMade
from hemaline_cloud.api.server import make_app
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import ReviewPolicy
from parts.ordering import ERIN, Orders
from parts.people import LoggedIn, logged_in, one_of
from parts.signing import sign_slide


@pytest.fixture
def people(database_url: str) -> dict[str, LoggedIn]:
    return {
        "ann": logged_in(database_url, ("haematologist",), "north", "Ann Alder"),
        "bob": logged_in(database_url, ("haematologist",), "north", "Bob Birch"),
        "tom": logged_in(database_url, ("technologist",), "north", "Tom Tailor"),
        "olga": logged_in(database_url, ("operator",), "north", "Olga Olm"),
        "sue": logged_in(database_url, ("haematologist",), "south", "Sue South"),
        "both": logged_in(database_url, ("haematologist",), full_name="Bo Both"),
    }


@pytest.fixture
def as_(anybody: TestClient, people: dict[str, LoggedIn]) -> Callable[[str], None]:
    return one_of(anybody, people)


@pytest.fixture
def orders(anybody: TestClient, as_: Callable[[str], None]) -> Orders:
    """What the first of these people asks for."""
    return Orders(anybody)


@pytest.fixture
def slide(factory: Factory) -> SlideMade:
    return ready(factory)


def ready(factory: Factory, **more: Any) -> SlideMade:
    made = factory.slide(**more)
    factory.field(made)
    factory.trained_result(made)
    return made


def refused(answer, reason: str, words: str) -> None:
    assert answer.status_code == 409, answer.text
    assert answer.json()["reason"] == reason
    assert words in answer.json()["detail"]


def test_a_scanned_code_links_a_slide_and_tells_whose_blood_it_is(orders: Orders, slide):
    order_id = orders.add("24-00017", blood_count={"wbc": {"value": 31.4}})
    before = orders.of(slide)["version"]
    answer = orders.link(slide, " 24-00017\n")
    assert answer.status_code == 200
    assert answer.json() == {
        "slide_id": str(slide.slide_id),
        "version": before + 1,
        "order_id": order_id,
        "before": None,
    }
    told = orders.of(slide)
    assert told["version"] == before + 1
    assert told["linked_by_name"] == "Ann Alder"
    order = told["order"]
    assert order["barcode"] == "24-00017"
    assert order["blood_count"]["wbc"] == {"value": 31.4, "unit": "10*9/L"}
    assert {name: order["patient"][name] for name in ERIN} == ERIN
    assert orders.read(order_id) == order


def test_a_slide_that_is_linked_to_nothing_says_so(orders: Orders, slide):
    told = orders.of(slide)
    assert (told["order"], told["asked"], told["previous"]) == (None, None, [])
    refused(orders.unlink(slide), "not-linked", "linked to no order")


@pytest.mark.parametrize(("typed", "words"), [("", "no code"), ("a" * 49, "Scan it again")])
def test_what_is_no_code_is_refused_in_words(orders: Orders, slide, typed, words):
    refused(orders.link(slide, typed), "barcode-unreadable", words)


def test_an_unknown_code_is_refused_in_words(orders: Orders, slide):
    refused(orders.link(slide, "24-00099"), "barcode-unknown", "No order of north has this code")


def test_a_wrong_check_digit_is_refused_before_anything_is_looked_up(
    orders: Orders, factory: Factory, slide
):
    orders.add("79927398713")
    orders.add("79927398710")
    with unit_of_work(factory.engine) as connection:
        set_policy(connection, service("tests"), "north", ReviewPolicy(check_digit="luhn"))
    refused(orders.link(slide, "79927398710"), "wrong-check-digit", "mistyped or misread")
    assert orders.link(slide, "79927398713").status_code == 200
    answer = orders.try_to_add("79927398719")
    refused(answer, "wrong-check-digit", "check digit")


def test_a_used_code_is_refused_and_names_the_slide(orders: Orders, factory: Factory, slide):
    orders.add("24-00017")
    other = ready(factory)
    assert orders.link(other, "24-00017").status_code == 200
    accession = orders.slide(other)["accession"]
    refused(orders.link(slide, "24-00017"), "barcode-used", f"slide {accession} is linked to it")


def test_one_more_smear_of_a_tube_takes_its_used_code_if_somebody_says_so(
    anybody, orders: Orders, factory: Factory, slide
):
    orders.add("24-00017")
    assert orders.link(ready(factory), "24-00017").status_code == 200
    assert orders.link(slide, "24-00017", another_smear=True).status_code == 200
    (smear,) = orders.of(slide)["previous"]
    assert smear["slide_id"] != str(slide.slide_id)
    timeline = anybody.get(f"/api/v1/slides/{slide.slide_id}/timeline").json()["items"]
    assert [event["detail"] for event in timeline] == ["another smear of the tube"]


def test_of_many_slides_that_take_one_code_at_once_one_gets_it(orders: Orders, factory: Factory):
    orders.add("24-00017")
    slides = [factory.slide() for _ in range(8)]
    with ThreadPoolExecutor(len(slides)) as pool:
        answers = list(pool.map(lambda made: orders.link(made, "24-00017", 0), slides))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    told = {answer.json()["reason"] for answer in answers if answer.status_code == 409}
    assert told == {"barcode-used"}


def test_another_slide_of_the_same_specimen_takes_the_same_code(
    orders: Orders, factory: Factory, slide
):
    orders.add("24-00017")
    other = factory.slide(specimen_id=slide.specimen_id)
    assert orders.link(slide, "24-00017").status_code == 200
    assert orders.link(other, "24-00017").status_code == 200


def test_a_slide_has_one_order_at_a_time(orders: Orders, slide):
    orders.add("24-00017")
    orders.add("24-00018")
    orders.link(slide, "24-00017")
    refused(orders.link(slide, "24-00017"), "already-linked", "to this order already")
    refused(orders.link(slide, "24-00018"), "already-linked", "Unlink it first")


def test_another_sites_code_reads_as_an_unknown_one_word_for_word(as_, orders: Orders, slide):
    as_("sue")
    orders.add("24-00055", site="south")
    for name in ("ann", "both"):
        as_(name)
        known_elsewhere = orders.link(slide, "24-00055").json()
        nowhere = orders.link(slide, "24-00056").json()
        assert known_elsewhere == nowhere
        assert nowhere["reason"] == "barcode-unknown"


def test_an_order_of_another_site_cannot_be_linked_by_its_id(as_, orders: Orders, slide):
    as_("sue")
    order_id = orders.add("24-00055", site="south")
    as_("both")
    refused(orders.link_again(slide, order_id), "barcode-unknown", "north has no such order")


def test_a_link_is_taken_back_and_made_again(orders: Orders, slide):
    order_id = orders.add("24-00017")
    orders.link(slide, "24-00017")
    answer = orders.unlink(slide)
    assert (answer.json()["order_id"], answer.json()["before"]) == (None, order_id)
    assert orders.of(slide)["order"] is None
    assert orders.link_again(slide, answer.json()["before"]).status_code == 200
    assert orders.of(slide)["order"]["order_id"] == order_id


def test_a_code_whose_slide_was_unlinked_is_free_again(orders: Orders, factory: Factory, slide):
    orders.add("24-00017")
    orders.link(slide, "24-00017")
    orders.unlink(slide)
    assert orders.link(ready(factory), "24-00017").status_code == 200


def test_what_somebody_changed_meanwhile_is_not_overwritten(orders: Orders, slide):
    orders.add("24-00017")
    version = orders.of(slide)["version"]
    orders.link(slide, "24-00017")
    assert orders.unlink(slide, version).status_code == 412
    assert orders.of(slide)["order"] is not None


def test_the_same_link_twice_under_one_key_is_made_once(orders: Orders, slide):
    orders.add("24-00017")
    version = orders.of(slide)["version"]
    answers = [orders.link(slide, "24-00017", version, key="k-1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[0].json() == answers[1].json()


def test_unlinking_what_is_signed_takes_a_reason_and_a_second_person(
    as_, anybody: TestClient, orders: Orders, factory: Factory, slide
):
    orders.add("24-00017")
    orders.link(slide, "24-00017")
    refused(orders.ask(slide, "Wrong tube."), "not-signed", "unlink it at once")
    sign_slide(anybody, factory, slide)
    refused(orders.unlink(slide), "second-person-needed", "a second person confirms")
    refused(orders.answer(slide, agrees=True), "not-asked", "Nobody has asked")
    assert orders.ask(slide, "Wrong tube.").status_code == 200
    refused(orders.ask(slide, "Again."), "asked-already", "Ann Alder has asked")
    refused(orders.answer(slide, agrees=True), "second-person-needed", "another person")
    as_("tom")
    assert orders.answer(slide, agrees=True).status_code == 403
    as_("bob")
    asked = orders.of(slide)["asked"]
    assert (asked["by_name"], asked["reason"], asked["yours"]) == (
        "Ann Alder",
        "Wrong tube.",
        False,
    )
    assert orders.answer(slide, agrees=True).status_code == 200
    told = orders.of(slide)
    assert (told["order"], told["asked"]) == (None, None)
    assert orders.slide(slide)["changed_since_signing"]


def test_what_was_asked_can_be_refused_or_taken_back(
    as_, anybody: TestClient, orders: Orders, factory: Factory, slide
):
    orders.add("24-00017")
    orders.link(slide, "24-00017")
    sign_slide(anybody, factory, slide)
    for who in ("bob", "ann"):
        as_("ann")
        assert orders.ask(slide, "Wrong tube.").status_code == 200
        as_(who)
        assert orders.answer(slide, agrees=False).status_code == 200
        told = orders.of(slide)
        assert told["asked"] is None
        assert told["order"]
    assert not orders.slide(slide)["changed_since_signing"]


def test_whose_blood_it_is_is_told_to_nobody_who_need_not_know(as_, orders: Orders, slide):
    order_id = orders.add("24-00017")
    orders.link(slide, "24-00017")
    for name, knows in (("ann", True), ("tom", True), ("olga", False)):
        as_(name)
        assert bool(orders.of(slide)["order"]["patient"]) is knows
        assert bool(orders.read(order_id)["patient"]) is knows
    as_("olga")
    assert orders.link(slide, "24-00017").status_code == 403
    assert orders.try_to_add("24-00018").status_code == 403


def test_a_role_elsewhere_adds_no_order_here(as_, orders: Orders):
    as_("sue")
    answer = orders.try_to_add("24-00018")
    assert (answer.status_code, answer.json()["reason"]) == (403, "no-permission")


def test_the_same_order_again_changes_nothing_and_another_under_its_code_is_refused(
    orders: Orders,
):
    first = orders.try_to_add("24-00017").json()
    again = orders.try_to_add("24-00017").json()
    assert (first["new"], again["new"]) == (True, False)
    assert first["order_id"] == again["order_id"]
    other = orders.try_to_add("24-00017", blood_count={"wbc": {"value": 1}})
    refused(other, "order-differs", "known already")


def test_one_identifier_is_one_person_and_the_newest_name_holds(
    orders: Orders, factory: Factory, slide
):
    orders.add("24-00017")
    orders.add("24-00018", patient=ERIN | {"name": "Married, Erin"})
    orders.link(slide, "24-00017")
    assert orders.of(slide)["order"]["patient"]["name"] == "Married, Erin"
    other_day = orders.try_to_add("24-00019", patient=ERIN | {"birth_date": "1980-05-18"})
    refused(other_day, "patient-differs", "another birth date")
    assert "1980" not in other_day.text


def test_previous_smears_of_the_same_person_stand_beside(
    as_, anybody: TestClient, orders: Orders, factory: Factory, slide
):
    before, others = ready(factory), ready(factory)
    for made, code, patient in (
        (before, "24-00001", ERIN),
        (others, "24-00002", ERIN | {"identifier": "4712"}),
        (slide, "24-00003", ERIN),
    ):
        orders.add(code, patient=patient)
        assert orders.link(made, code).status_code == 200
    sign_slide(anybody, factory, before)
    (previous,) = orders.of(slide)["previous"]
    assert previous["slide_id"] == str(before.slide_id)
    assert (previous["signed"], previous["review"]) == (True, "signed")
    as_("olga")
    assert orders.of(slide)["previous"] == []


def test_without_a_key_orders_are_off_and_everything_else_is_as_before(
    api_settings, factory: Factory, people, slide
):
    off = api_settings.model_copy(update={"identity_key": None})
    with TestClient(make_app(off)) as client:
        one_of(client, people)
        orders = Orders(client)
        refused(orders.try_to_add("24-00017"), "identities-off", "HEMALINE_IDENTITY_KEY")
        assert orders.of(slide)["order"] is None
