"""A person at the log-in: a real browser, keyboard only, light, dark and narrow."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from factories import Factory
from hemaline_shared.ids import accession
from parts.browser import new_context
from parts.people import LoggedIn, local_account, logged_in

pytestmark = pytest.mark.real
PAGES = ("/log-in", "/account", "/people", "/", "/devices", "/problems")


@pytest.fixture
def context(browser: Browser, api_address: str) -> Iterator[BrowserContext]:
    opened = new_context(browser, api_address)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_the_keyboard_alone_logs_in_and_comes_back_to_the_page(
    page: Page, database_url: str, factory: Factory
):
    slide = factory.slide()
    factory.field(slide)
    password = local_account(database_url, "ada", roles=("haematologist",))
    page.goto(f"/slides/{accession(slide.slide_id)}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    expect(page.get_by_label("Name")).to_have_value("ada")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(accession(slide.slide_id))
    expect(page.get_by_role("link", name="Ada")).to_be_visible()
    expect(page.get_by_role("link", name="People")).to_have_count(0)


def test_after_log_out_nothing_of_the_session_is_left_in_the_browser(
    page: Page, context: BrowserContext, person: LoggedIn, api_address: str, factory: Factory
):
    slide = factory.slide()
    factory.field(slide)
    person.enter(context, api_address)
    page.goto(f"/slides/{slide.slide_id}")
    expect(page.locator("#cells img").first).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("status").first).to_contain_text("You are logged out.")
    assert {cookie["name"] for cookie in context.cookies()} <= {"hemaline_log_in"}
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_page_on_the_way_out_goes_nowhere_else(
    page: Page, context: BrowserContext, person: LoggedIn, api_address: str, factory: Factory
):
    """It may read itself once more while its session ends, and is sent to the log-in then."""
    person.enter(context, api_address)
    page.goto("/")
    page.evaluate(
        "void addEventListener('submit', event => event.preventDefault())"
    )  # the answer is long in coming
    page.get_by_role("button", name="Log out").click()
    with factory.engine.begin() as connection:
        connection.exec_driver_sql("delete from sessions")
    with page.expect_response(lambda answer: "/log-in?" in answer.url):
        page.evaluate("refreshSoon()")
    page.wait_for_timeout(500)
    assert page.url == f"{api_address}/"


def test_a_page_whose_session_has_ended_goes_to_the_log_in_by_itself(
    page: Page, context: BrowserContext, person: LoggedIn, api_address: str, factory: Factory
):
    person.enter(context, api_address)
    page.goto("/")
    expect(page.locator("[data-live-state=live]")).to_be_visible()
    with factory.engine.begin() as connection:
        connection.exec_driver_sql("delete from sessions")
    factory.slide()  # a change, at which the page reads itself again
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert page.url.endswith("/log-in?return_to=%2F")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_on_the_pages(
    page: Page, context: BrowserContext, database_url: str, api_address: str, scheme, width: int
):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 844})
    page.goto("/log-in")
    check(page)
    logged_in(database_url).enter(context, api_address)
    for address in PAGES[1:]:
        page.goto(address)
        check(page)


def check(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
