"""A person at the result pages: a real browser on a real server."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect

from drawn_fields import draw_field
from factories import Factory, SlideMade
from hemaline_shared.ids import accession, cell_id
from parts.browser import new_context
from parts.people import LoggedIn

pytestmark = pytest.mark.real


@pytest.fixture
def slide(factory: Factory) -> SlideMade:
    made = factory.slide(opened_at=datetime.now(UTC), simulated=True)
    for place in range(3):
        factory.field(made, draw_field(cells=2, seed=place))
    factory.untrained_result(made)
    factory.rejected(made)
    factory.close_slide(made)
    return made


@pytest.fixture
def page(browser: Browser, api_address: str, person: LoggedIn) -> Iterator[Page]:
    """A page that fails its test on any console error and any request to another host."""
    context = new_context(browser, api_address)
    person.enter(context, api_address)
    opened = context.new_page()
    troubles: list[str] = []
    opened.on("console", lambda m: m.type in {"error", "warning"} and troubles.append(m.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on(
        "request",
        lambda request: request.url.startswith(api_address) or troubles.append(request.url),
    )
    yield opened
    context.close()
    assert troubles == []


def test_from_the_worklist_to_the_box_of_one_cell(page: Page, slide: SlideMade):
    page.goto("/")
    row = page.get_by_role("link", name=accession(slide.slide_id))
    expect(row).to_contain_text("6 white cells")
    expect(row).to_contain_text("simulated")
    expect(row).to_contain_text("Complete")
    row.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(accession(slide.slide_id))
    expect(page.get_by_text("Cells are counted, not classified.")).to_be_visible()

    page.locator("#cells a").nth(3).click()  # the second cell of the second field
    expect(page.get_by_role("heading", name="Field 2 of 3")).to_be_visible()
    chosen = cell_id(slide.fields[1], 1)
    box = page.locator(f"#box-{chosen} rect")
    expect(page.locator(f"#box-{chosen}")).to_have_attribute("aria-current", "true")
    drawn = draw_field(cells=2, seed=1)
    image = page.locator(".field img").bounding_box()
    shown = box.bounding_box()
    assert image
    assert shown
    scale = image["width"] / drawn.image.shape[1]
    assert shown["x"] - image["x"] == pytest.approx(drawn.boxes[1].left * scale, abs=4)
    assert shown["width"] == pytest.approx(drawn.boxes[1].width * scale, abs=8)
    expect(page.get_by_label("The chosen cell", exact=True)).to_contain_text("not classified")


def test_every_image_is_there(page: Page, slide: SlideMade):
    page.goto(f"/slides/{slide.slide_id}")
    expect(page.locator("#cells img")).to_have_count(6)
    page.wait_for_load_state("load")
    broken = "images => images.filter(i => i.complete && i.naturalWidth === 0).map(i => i.src)"
    assert page.locator("img").evaluate_all(broken) == []


def test_arrow_keys_move_between_fields(page: Page, slide: SlideMade):
    page.goto(f"/slides/{slide.slide_id}")
    for key, position in (("Right", 2), ("Right", 3), ("Right", 3), ("Left", 2)):
        page.keyboard.press(f"Arrow{key}")
        expect(page.get_by_role("heading", name=f"Field {position} of 3")).to_be_visible()
        expect(page.locator(".strip [aria-current] img")).to_have_attribute(
            "alt", f"Field {position}"
        )
    expect(page.locator("#announcement")).to_contain_text("Field 2")
    page.go_back()
    expect(page.get_by_role("heading", name="Field 3 of 3")).to_be_visible()


def test_letters_move_between_cells_and_slides(page: Page, slide: SlideMade):
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(accession(slide.slide_id))
    page.wait_for_load_state()  # its scripts hear no key before
    page.keyboard.press("j")
    expect(page.locator("#cells li").nth(0).locator("a")).to_have_attribute("aria-current", "true")
    page.keyboard.press("j")
    expect(page.locator("#cells li").nth(1).locator("a")).to_have_attribute("aria-current", "true")
    page.keyboard.press("k")
    expect(page.locator("#cells li").nth(0).locator("a")).to_have_attribute("aria-current", "true")


def test_the_heat_map_is_off_until_asked_for_and_stays_for_the_next_cell(
    page: Page, factory: Factory
):
    made = factory.slide(opened_at=datetime.now(UTC))
    factory.field(made)
    factory.trained_result(made)
    page.goto(f"/slides/{made.slide_id}")
    page.keyboard.press("j")
    heat = page.get_by_role("img", name="Heat map: where the networks see blast")
    expect(page.get_by_label("The chosen cell", exact=True)).to_be_visible()
    expect(heat).to_be_hidden()
    page.keyboard.press("h")
    expect(heat).to_be_visible()
    crop, over = page.locator(".crop img").first.bounding_box(), heat.bounding_box()
    assert crop == over, "the heat map lies exactly over the crop"
    assert heat.evaluate("image => image.decode().then(() => image.naturalWidth)") == 224
    expect(page.locator("#announcement")).to_have_text("Heat map shown")
    page.keyboard.press("j")
    second = page.get_by_role("img", name="Heat map: where the networks see neutrophil")
    expect(second).to_be_visible()
    page.get_by_role("checkbox", name="Heat map").uncheck()
    expect(page.locator(".heat")).to_be_hidden()
    page.keyboard.press("k")
    expect(page.get_by_role("checkbox", name="Heat map")).not_to_be_checked()


def test_the_worklist_fills_by_itself(page: Page, factory: Factory):
    page.goto("/")
    expect(page.get_by_text("No slide yet")).to_be_visible()
    expect(page.get_by_text("Live")).to_be_visible()
    made = factory.slide(opened_at=datetime.now(UTC))
    factory.field(made)
    row = page.get_by_role("link", name=accession(made.slide_id))
    expect(row).to_contain_text("No result yet")
    factory.untrained_result(made)
    expect(row).to_contain_text("3 white cells")
    factory.close_slide(made)
    expect(row).to_contain_text("Complete")


def test_a_slide_page_follows_its_slide_and_keeps_the_chosen_cell(
    page: Page, factory: Factory, slide: SlideMade
):
    page.goto(f"/slides/{slide.slide_id}")
    page.locator("#cells a").nth(2).click()
    expect(page.get_by_role("heading", name="Field 2 of 3")).to_be_visible()
    factory.quarantined(slide)
    expect(page.locator(".ledger .quarantined dd")).to_have_text("1")
    expect(page.get_by_role("heading", name="Field 2 of 3")).to_be_visible()
    expect(page.locator("#cells [aria-current]")).to_have_count(1)


def test_seven_tabs_stay_live(page: Page, factory: Factory):
    """A browser allows a host six connections: the tabs share one stream."""
    tabs = [page, *(page.context.new_page() for _ in range(6))]
    for tab in tabs:
        tab.goto("/")
        expect(tab.get_by_text("Live")).to_be_visible()
    made = factory.slide(opened_at=datetime.now(UTC))
    factory.field(made)
    for tab in tabs:
        expect(tab.get_by_role("link", name=accession(made.slide_id))).to_be_visible()
    for tab in tabs[:-1]:
        tab.close()
    factory.untrained_result(made)
    expect(tabs[-1].get_by_text("3 white cells")).to_be_visible()


@pytest.fixture
def held(page: Page) -> Callable[[], None]:
    """Answers about a cell or a field are held back until this is called."""
    routes: list[Route] = []
    wanted = re.compile(r"/slides/.*[?&](cell|field)=")

    def hold(route: Route) -> None:
        routes.append(route)

    page.route(wanted, hold)

    def release() -> None:
        page.unroute(wanted)
        for route in routes:
            with suppress(Error):  # the page has given up asking
                route.continue_()

    return release


def test_a_letter_pressed_while_a_cell_is_on_its_way_is_not_dropped(
    page: Page, slide: SlideMade, held: Callable[[], None]
):
    page.goto(f"/slides/{slide.slide_id}")
    for _ in range(4):
        page.keyboard.press("j")
    page.keyboard.press("k")
    third = page.locator("#cells li").nth(2).locator("a")
    expect(third).to_have_attribute("aria-current", "true")
    expect(page.locator("#cells a[aria-current]")).to_have_count(1)
    held()
    expect(page.get_by_role("heading", name="Field 2 of 3")).to_be_visible()
    assert f"cell={cell_id(slide.fields[1], 0)}" in page.url
    expect(third).to_have_attribute("aria-current", "true")


def test_an_arrow_pressed_while_a_field_is_on_its_way_is_not_dropped(
    page: Page, factory: Factory, held: Callable[[], None], monkeypatch
):
    """Nor where the strip, which shows a few fields on each side, does not reach so far yet."""
    monkeypatch.setattr("hemaline_cloud.api.routes.pages._STRIP_REACH", 2)
    made = factory.slide(opened_at=datetime.now(UTC))
    for _ in range(6):
        factory.field(made, draw_field(cells=1))
    page.goto(f"/slides/{made.slide_id}")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    held()
    expect(page.get_by_role("heading", name="Field 5 of 6")).to_be_visible()
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="Field 1 of 6")).to_be_visible()


_HOLD_A_REFRESH = """() => {
  const send = window.fetch;
  window.released = new Promise((resolve) => (window.release = resolve));
  window.asked = new Promise((resolve) => {
    window.fetch = (address, options) => {
      if (!options?.headers?.["X-Refresh"]) return send(address, options);
      resolve();
      return released.then(() => send(address, options));
    };
  });
}"""


def test_an_arrow_beyond_the_last_field_is_not_kept_for_later(
    page: Page, factory: Factory, slide: SlideMade
):
    """Also while the page, which is live, is just being read again."""
    page.goto(f"/slides/{slide.slide_id}")
    for position in (2, 3):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("heading", name=f"Field {position} of 3")).to_be_visible()
    page.evaluate(_HOLD_A_REFRESH)
    factory.rejected(slide)
    page.evaluate("asked")
    page.keyboard.press("ArrowRight")
    page.evaluate("release()")
    for position in (2, 1):
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("heading", name=f"Field {position} of 3")).to_be_visible()


def test_the_pages_bring_their_font(page: Page, slide: SlideMade):
    page.goto("/")
    loaded = "document.fonts.ready.then(() => [...document.fonts].map(f => [f.family, f.status]))"
    assert page.evaluate(loaded) == [["Inter Variable", "loaded"]]


_WIDER = "* { font-family: sans-serif !important; letter-spacing: 0.05em !important; }"
"""As with a font that is wider than ours, where ours cannot be had."""


@pytest.mark.parametrize("rule", ["", _WIDER], ids=["our-font", "wider-font"])
@pytest.mark.parametrize("width", [390, 768, 1024, 1440, 1920])
def test_no_page_is_wider_than_its_screen(
    page: Page, factory: Factory, slide: SlideMade, width: int, rule: str
):
    named = factory.slide(slide_name="a name of a slide that is as long as it may be " * 2)
    factory.field(named)
    factory.trained_result(named, urgency=1)
    factory.device(spooled=3)
    factory.dead_letter()
    page.set_viewport_size({"width": width, "height": 844})
    for address in (
        "/",
        f"/slides/{slide.slide_id}",
        f"/slides/{named.slide_id}",
        "/devices",
        "/problems",
    ):
        page.goto(address)
        if rule:
            page.evaluate("rule => document.styleSheets[0].insertRule(rule)", rule)
        page.evaluate("document.fonts.ready")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, address


def test_a_row_of_the_worklist_is_low_whatever_was_found(page: Page, factory: Factory):
    made = factory.slide(opened_at=datetime.now(UTC), slide_name="LAB-2026-0418")
    factory.field(made)
    sentence = "Blasts are 31 % of 118 leukocytes (95 % interval 23 % to 40 %): " * 3
    codes = ("blasts-over-who-threshold", "apl-suspected", "many-unclassified")
    factory.trained_result(made, flags=[{"code": code, "text": sentence} for code in codes])
    page.goto("/")
    row = page.get_by_role("link", name=accession(made.slide_id))
    expect(row.locator(".chip")).to_have_count(3)
    expect(row.locator(".chip").first).to_have_attribute("title", sentence)
    box = row.bounding_box()
    assert box
    assert box["height"] <= 60


def test_text_has_enough_contrast_in_light_and_dark(page: Page, slide: SlideMade):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"/slides/{slide.slide_id}")
        for selector in (".quiet", ".where", ".notice", ".pill", ".tag", ".research-use"):
            assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, (scheme, selector)


CONTRAST = """element => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let ground = element;
  while (parse(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const pair = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
    .map(parse).map(light).sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
}"""
