"""A haematologist reviews a slide in a real browser, without a mouse."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from drawn_fields import draw_field
from factories import Factory, SlideMade
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import ReviewPolicy, SecondReaderRule
from hemaline_shared.ids import accession
from parts.browser import new_context
from parts.people import LoggedIn, logged_in

pytestmark = pytest.mark.real


@pytest.fixture
def ready_slide(factory: Factory, database_url: str) -> Iterator[Callable[..., SlideMade]]:
    """Makes slides that wait for a reader: two fields, each with three cells."""
    engine = make_engine(database_url, principal=service("tests"))

    def make(*flags: str) -> SlideMade:
        made = factory.slide(opened_at=datetime.now(UTC))
        for place in range(2):
            factory.field(made, draw_field(cells=3, seed=place))
        factory.trained_result(made, flags=[{"code": code, "text": code} for code in flags])
        factory.close_slide(made)
        with unit_of_work(engine) as connection:
            make_ready(connection, 1e-6)
        return made

    yield make
    engine.dispose()


@pytest.fixture
def page(browser: Browser, api_address: str, person: LoggedIn) -> Iterator[Page]:
    context = new_context(browser, api_address)
    person.enter(context, api_address)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    context.close()
    assert faults == []


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_a_slide_is_read_named_and_signed_by_keys_and_the_next_one_opens(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    other, slide = ready_slide(), ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    expect(page.locator("#review")).to_contain_text("Ready")
    expect(page.locator("[data-unseen]")).to_have_text("0")  # all crops are in view
    press(page, "s")
    expect(page.get_by_role("dialog")).to_be_visible()
    press(page, "Enter")
    expect(page.get_by_role("dialog")).to_contain_text("1 field at full resolution")
    press(page, "Escape", "j")
    expect(page.locator(".chosen")).to_be_visible()
    press(page, "6")
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(1)
    press(page, "z")
    expect(page.locator("#review")).not_to_contain_text("full resolution")
    press(page, "s", "Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(accession(other.slide_id))
    page.goto(f"/slides/{slide.slide_id}")
    expect(page.locator("#review")).to_contain_text("Signed")
    on_paper = page.get_by_role("link", name="Report (PDF)").get_attribute("href") or ""
    assert page.request.get(on_paper).body().startswith(b"%PDF-")
    report = page.request.get(on_paper.removesuffix("/report.pdf")).json()
    assert [label["label"] for label in report["labels"]] == ["basophil"]


def test_many_cells_are_named_at_once_and_the_act_is_taken_back_whole(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    press(page, "j")
    for _ in range(3):
        expect(page.locator(".chosen")).to_be_visible()
        press(page, "Space")
    expect(page.locator("#cells li.selected")).to_have_count(3)
    press(page, "Shift+Digit6")
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(3)
    press(page, "u")
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(0)


def test_what_another_person_said_meanwhile_is_told_and_not_overwritten(
    page: Page, person: LoggedIn, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    press(page, "j")
    expect(page.locator(".chosen")).to_be_visible()
    cell = page.locator(".chosen").get_attribute("data-chosen-cell")
    page.evaluate("() => { window.EventSource = null; }")
    page.route("**/slides/*", lambda route: route.abort())  # this page hears nothing more
    answer = page.request.put(
        f"/api/v1/cells/{cell}/label",
        data={"label": "eosinophil"},
        headers={"If-Match": '"v0"', **person.changing},
    )
    assert answer.ok
    press(page, "6")
    expect(page.locator("#told")).to_contain_text("called this cell Eosinophil")


def test_what_could_not_be_saved_is_kept_and_tried_again(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    press(page, "j")
    expect(page.locator(".chosen")).to_be_visible()
    page.route("**/labels", lambda route: route.abort())
    press(page, "6")
    expect(page.locator("#told")).to_contain_text("Not saved: the server is away.")
    page.unroute("**/labels")
    cell = page.locator(".chosen").get_attribute("data-chosen-cell")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(1)
    expect(page.locator(".chosen")).not_to_have_attribute("data-chosen-cell", cell or "")
    press(page, "u")
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(0)


def test_a_cell_whose_name_was_taken_back_is_named_anew(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    press(page, "j")
    expect(page.locator(".chosen")).to_be_visible()
    cell = page.locator(".chosen").get_attribute("data-chosen-cell")
    press(page, "6")
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(1)
    press(page, "u")
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(0)
    page.goto(f"/slides/{slide.slide_id}?cell={cell}")
    press(page, "7")
    expect(page.locator(f"#cell-{cell} .caption")).not_to_have_text("Basophil")
    expect(page.locator(f"#cell-{cell} .caption span[title*=' by ']")).to_have_count(1)


def test_selected_cells_that_the_gallery_no_longer_shows_are_not_named(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    press(page, "j")
    for _ in range(2):
        expect(page.locator(".chosen")).to_be_visible()
        press(page, "Space")
    expect(page.locator("#cells li.selected")).to_have_count(2)
    third = page.locator("#cells li").nth(2).get_attribute("data-cell") or ""
    expect(page.locator(".chosen")).to_have_attribute("data-chosen-cell", third)
    gone = page.locator("#cells li.selected").first.get_attribute("data-cell")
    # In one step, before any renewal of the page could show the cell again.
    page.evaluate(
        """cell => {
            document.getElementById(`cell-${cell}`).remove();
            const key = { code: "Digit6", shiftKey: true, bubbles: true };
            document.body.dispatchEvent(new KeyboardEvent("keydown", key));
        }""",
        gone,
    )
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(1)


def test_the_keys_that_name_cells_can_be_switched_off(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    page.get_by_label("Keys name cells").uncheck()
    page.locator("h1").click()
    press(page, "j")
    expect(page.locator(".chosen")).to_be_visible()
    press(page, "6", "s")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(0)


def test_the_differential_is_counted_anew_as_cells_are_named_beside_the_models(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    cell = next(iter(slide.labels))
    page.goto(f"/slides/{slide.slide_id}?cell={cell}")
    result = page.locator("#result")
    expect(result).not_to_contain_text("As read")
    press(page, "6")
    expect(result).to_contain_text("As read: 1 cell named by people")
    row = result.locator("tr.class-basophil")
    expect(row.locator("td")).to_have_text(re.compile(r"17%\s*1\s*3.0%.56%\s*model 0%"))
    press(page, "u")
    expect(result).not_to_contain_text("As read")


def test_a_comment_is_written_beside_the_cell_and_stays_where_the_server_is_away(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    cell = next(iter(slide.labels))
    page.goto(f"/slides/{slide.slide_id}?cell={cell}")
    page.get_by_label("Comment", exact=True).fill("An Auer rod <b>here</b>?")
    page.get_by_label("About", exact=True).select_option("cell")
    page.route("**/comments", lambda route: route.abort())
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#told")).to_contain_text("Not saved: the server is away.")
    expect(page.get_by_label("Comment", exact=True)).to_have_value("An Auer rod <b>here</b>?")
    page.unroute("**/comments")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#comments")).to_contain_text("An Auer rod <b>here</b>?")
    expect(page.get_by_label("Comment", exact=True)).to_have_value("")
    expect(page.locator("#comments a")).to_have_attribute("href", re.compile(f"cell={cell}"))


def test_red_cells_and_platelets_are_graded_and_what_nobody_graded_is_said_to_be_so(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    told = page.locator("#morphology-found")
    expect(told).to_have_text("not assessed")
    page.get_by_text("Red cells and platelets").click()
    page.get_by_label("Schistocytes 1").check()
    page.get_by_label("Target cells 2").check()  # while the first is on its way
    page.get_by_label("Platelets by eye").select_option("decreased")
    expect(told).to_have_text("platelets decreased, target cells 2+, schistocytes 1+")
    page.get_by_role("button", name="All others 0").click()
    page.reload()
    page.get_by_text("Red cells and platelets").click()
    expect(page.get_by_label("Teardrop cells 0")).to_be_checked()
    expect(page.get_by_label("Schistocytes 1")).to_be_checked()
    page.get_by_role("button", name="Not assessed").click()
    expect(told).to_have_text("nothing graded above 0")


def test_a_missed_cell_is_added_by_keys_counted_and_taken_back(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    expect(page.locator("#review")).to_contain_text("Ready")
    press(page, "a")
    expect(page.locator(".field .place")).to_have_count(1)
    press(page, *["ArrowLeft"] * 6, "6")  # between two cells
    expect(page.locator(".field .place")).to_have_count(0)
    expect(page.locator(".box.added.class-basophil")).to_have_count(1)
    expect(page.locator("#main")).to_contain_text("1 cell added by hand")
    press(page, "u")
    expect(page.locator(".box.added")).to_have_count(0)
    press(page, "a", "Escape")
    expect(page.locator(".field .place")).to_have_count(0)


def test_an_unfit_slide_is_called_so_with_a_reason_that_everybody_reads(
    page: Page, ready_slide: Callable[..., SlideMade]
):
    slide = ready_slide()
    page.goto(f"/slides/{slide.slide_id}")
    page.get_by_role("button", name="Ask a colleague…").click()
    asks = page.get_by_role("dialog", name="Ask a colleague to read it, too?")
    asks.get_by_label("Why you ask").fill("Auer rods?")
    asks.get_by_role("button", name="Ask").click()  # as whoever signs, they must have seen it
    expect(asks).to_contain_text("1 field at full resolution")
    asks.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Unfit…").click()
    dialog = page.get_by_role("dialog", name="Is this slide unfit?")
    dialog.get_by_role("button", name="Unfit").click()  # no reason: the browser asks for it
    expect(dialog).to_be_visible()
    dialog.get_by_label("What is wrong with it").fill("Too thick everywhere")
    dialog.get_by_role("button", name="Unfit").click()
    expect(page).not_to_have_url(re.compile(str(slide.slide_id)))  # what is next is opened
    page.goto("/?review=unfit")
    page.get_by_role("link", name=accession(slide.slide_id)).click()
    expect(page.locator("#review")).to_contain_text("a new slide of this specimen is wanted")
    expect(page.locator("#comments")).to_contain_text("Unfit: Too thick everywhere")
    expect(page.get_by_role("button", name="Sign")).to_have_count(0)


def test_a_second_person_reads_it_without_a_word_of_the_first_and_both_are_shown_where_they_differ(
    page: Page,
    browser: Browser,
    api_address: str,
    database_url: str,
    ready_slide: Callable[..., SlideMade],
):
    engine = make_engine(database_url, principal=service("tests"))
    with unit_of_work(engine) as connection:
        policy = ReviewPolicy(second_reader=SecondReaderRule(), fields=0)
        set_policy(connection, service("tests"), "north", policy)
    engine.dispose()
    slide = ready_slide("apl-suspected")
    cell = next(iter(slide.labels))
    page.goto(f"/slides/{slide.slide_id}?cell={cell}")
    expect(page.locator("#review")).to_contain_text("Two people must read it")
    press(page, "7")
    expect(page.locator(f"#cell-{cell} span[title*=' by ']")).to_have_count(1)
    expect(page.locator("[data-unseen]")).to_have_text("0")
    press(page, "s", "Enter")
    expect(page).not_to_have_url(re.compile(str(slide.slide_id)))

    other = logged_in(database_url, ("haematologist",), full_name="Bob Birch")
    context = new_context(browser, api_address)
    other.enter(context, api_address)
    second = context.new_page()
    second.goto(f"/slides/{slide.slide_id}?cell={cell}")
    expect(second.locator("#review")).to_contain_text("Another person must read it")
    press(second, "s")
    expect(second.locator("#review")).to_contain_text("You read it as the second person")
    expect(second.locator(f"#cell-{cell} span[title*=' by ']")).to_have_count(0)
    press(second, "6")
    expect(second.locator(f"#cell-{cell} .caption")).to_contain_text("Basophil")
    expect(second.locator("[data-unseen]")).to_have_text("0")
    press(second, "s", "Enter")
    expect(second.locator("#review")).to_contain_text("Their readings differ: decide and sign")
    expect(second.locator("#review")).to_contain_text("Bob Birch: Basophil")
    context.close()
