"""A technologist scans a tube: the slide is linked, or the page says in words why not."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from drawn_fields import draw_field
from factories import Factory, SlideMade
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import ReviewPolicy
from hemaline_shared.ids import accession
from parts.browser import new_context
from parts.people import LoggedIn, logged_in

pytestmark = pytest.mark.real

RIGHT, USED, WRONG, UNKNOWN = "79927398713", "4539148803436467", "79927398710", "18"


@pytest.fixture
def slide(factory: Factory) -> SlideMade:
    """One of Erin's, who has another smear; a second code is another slide's."""
    before, other, made = (ready(factory) for _ in range(3))
    factory.order(before, "26", "Example, Erin")
    factory.order(other, USED, "Other, Olga")
    factory.order(made, RIGHT, "Example, Erin")
    factory.unlink(made)
    with unit_of_work(factory.engine) as connection:
        set_policy(connection, service("tests"), "north", ReviewPolicy(check_digit="luhn"))
    return made


def ready(factory: Factory) -> SlideMade:
    made = factory.slide(opened_at=datetime.now(UTC))
    factory.field(made, draw_field(cells=3))
    factory.trained_result(made)
    return made


@pytest.fixture
def enter(browser: Browser, api_address: str) -> Iterator[Callable[[LoggedIn], Page]]:
    """Opens a browser in which somebody is logged in."""
    contexts, faults = [], []

    def open_page(who: LoggedIn) -> Page:
        context = new_context(browser, api_address)
        who.enter(context, api_address)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def scan(page: Page, code: str) -> None:
    """As a scanner does that was told to press B first."""
    page.keyboard.press("b")
    expect(page.get_by_label("Scan or type")).to_be_focused()
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def test_a_code_is_scanned_refused_in_words_linked_unlinked_and_linked_again(
    enter, person: LoggedIn, slide: SlideMade
):
    page = enter(person)
    page.goto(f"/slides/{slide.slide_id}")
    told = page.locator("#told")
    for code, words in (
        (WRONG, "The check digit of this code is wrong"),
        (UNKNOWN, "No order of north has this code"),
        (USED, "This code is used: slide S-"),
    ):
        scan(page, code)
        expect(told).to_contain_text(words)
        expect(page.get_by_label("Scan or type")).to_be_focused()
        page.locator("h1").click()
    scan(page, RIGHT)
    card = page.locator("#order")
    expect(card).to_contain_text("Example, Erin")
    expect(card).to_contain_text("born 17 May 1980")
    expect(told).to_be_hidden()
    expect(card.get_by_role("listitem")).to_have_count(1)  # her other smear
    expect(page.locator("#heading")).to_contain_text("Example, Erin")
    assert "Erin" not in page.title() + page.url
    card.get_by_role("button", name="Unlink").click()
    expect(page.get_by_label("Scan or type")).to_be_visible()
    expect(page.locator("#heading")).not_to_contain_text("Erin")
    told.get_by_role("button", name="Undo").click()
    expect(card).to_contain_text("Example, Erin")


def test_one_more_smear_of_a_tube_is_linked_once_somebody_says_so(
    enter, person: LoggedIn, slide: SlideMade
):
    page = enter(person)
    page.goto(f"/slides/{slide.slide_id}")
    scan(page, USED)
    page.get_by_role("button", name="Another smear of this tube").click()
    expect(page.locator("#order")).to_contain_text("Other, Olga")
    expect(page.locator("#told")).to_be_hidden()


def test_an_order_that_is_nowhere_yet_is_typed_in_and_linked(
    enter, person: LoggedIn, slide: SlideMade
):
    page = enter(person)
    page.goto(f"/slides/{slide.slide_id}")
    scan(page, UNKNOWN)
    expect(page.locator("#told")).to_contain_text("type the order in")
    page.get_by_role("button", name="Type the order in").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Barcode")).to_have_value(UNKNOWN)
    dialog.get_by_label("Patient's name").fill("New, Nora")
    dialog.get_by_role("button", name="Keep and link").click()
    expect(dialog.get_by_role("alert")).to_contain_text("or leave all three empty")
    dialog.get_by_label("Patient's identifier").fill("9")
    dialog.get_by_label("Born").fill("1990-02-03")
    dialog.get_by_label("White cells").fill("31.4")
    page.route("**/orders", lambda route: route.abort())
    dialog.get_by_role("button", name="Keep and link").click()
    expect(dialog.get_by_role("alert")).to_contain_text("the server is away")
    page.unroute("**/orders")
    dialog.get_by_role("button", name="Keep and link").click()
    expect(page.locator("#order")).to_contain_text("New, Nora")
    expect(page.locator("#order")).to_contain_text("31.4 10⁹/L")


def test_what_could_not_be_saved_stays_typed_and_is_tried_again(
    enter, person: LoggedIn, slide: SlideMade
):
    page = enter(person)
    page.goto(f"/slides/{slide.slide_id}")
    page.route("**/order", lambda route: route.abort())
    scan(page, RIGHT)
    expect(page.locator("#told")).to_contain_text("Not saved: the server is away.")
    expect(page.get_by_label("Scan or type")).to_have_value(RIGHT)
    page.unroute("**/order")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#order")).to_contain_text("Example, Erin")


def test_a_signed_slide_is_unlinked_by_two(
    enter, factory: Factory, person: LoggedIn, database_url: str, slide: SlideMade
):
    page = enter(person)
    factory.order(slide, "34", "Wrong, Wanda")
    factory.signature(slide)
    page.goto(f"/slides/{slide.slide_id}")
    page.get_by_role("button", name="Ask to unlink").click()
    page.get_by_label("Why this order is the wrong one").fill("The tubes were mixed up.")
    page.get_by_role("dialog").get_by_role("button", name="Ask").click()
    expect(page.locator("#order")).to_contain_text("Asked to unlink")
    expect(page.get_by_role("button", name="Take it back")).to_be_visible()
    second = enter(logged_in(database_url, ("haematologist",), "north", "Bob Birch"))
    second.goto(f"/slides/{slide.slide_id}")
    expect(second.locator("#order")).to_contain_text("The tubes were mixed up.")
    second.locator("#order").get_by_role("button", name="Unlink").click()
    expect(second.get_by_label("Scan or type")).to_be_visible()
    expect(page.get_by_label("Scan or type")).to_be_visible()  # live


def test_the_worklist_finds_a_person_and_its_address_names_none(
    enter, person: LoggedIn, slide: SlideMade
):
    page = enter(person)
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("olga")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("find="))
    expect(page.locator(".slides > li")).to_have_count(1)
    expect(page.locator(".slides")).to_contain_text("Other, Olga")
    assert "olga" not in page.url.casefold()
    expect(page.get_by_role("searchbox")).to_have_value("olga")
    page.reload()
    expect(page.locator(".slides > li")).to_have_count(1)


def test_who_need_not_know_sees_the_code_and_no_name(enter, database_url: str, slide: SlideMade):
    page = enter(logged_in(database_url, ("operator",), "north"))
    page.goto("/")
    expect(page.locator(".slides")).to_contain_text(USED)
    expect(page.locator(".slides")).not_to_contain_text("Olga")
    page.goto(f"/slides/{accession(slide.slide_id)}")
    expect(page.locator("#order")).to_have_count(0)  # nothing to see, and nothing to do
