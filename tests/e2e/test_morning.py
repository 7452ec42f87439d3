"""A haematologist's morning in a real browser: from log-in to the next slide, without a mouse."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from drawn_fields import draw_field
from factories import Factory, SlideMade
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.review import make_ready
from hemaline_shared.ids import accession
from parts.browser import new_context
from parts.people import local_account

pytestmark = pytest.mark.real

SLIDES, URGENT = 30, 3


@pytest.fixture
def worklist(factory: Factory) -> list[SlideMade]:
    """30 slides that wait; the three that came last are urgent, with 24 blasts each."""
    now, drawn = datetime.now(UTC), [draw_field(cells=3, seed=seed) for seed in range(8)]
    slides = []
    for number in range(SLIDES):
        slide = factory.slide(opened_at=now - timedelta(minutes=SLIDES - number))
        urgent = number >= SLIDES - URGENT
        for one in drawn if urgent else drawn[:1]:
            factory.field(slide, one)
        labels = ("blast",) if urgent else ("neutrophil", "lymphocyte")
        factory.trained_result(slide, urgency=2 if urgent else 0, labels=labels)
        factory.close_slide(slide)
        slides.append(slide)
    with unit_of_work(factory.engine) as connection:
        make_ready(connection, 1e-6)
    return slides


class Keys:
    """A keyboard that counts."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.struck = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self._page.keyboard.press(key)
            self.struck += 1

    def type(self, words: str) -> None:
        self._page.keyboard.type(words)
        self.struck += len(words)


@pytest.fixture
def page(browser: Browser, api_address: str) -> Iterator[Page]:
    context = new_context(browser, api_address)
    opened = context.new_page()
    opened.set_viewport_size({"width": 1280, "height": 600})
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    context.close()
    assert faults == []


def test_the_urgent_slides_are_read_named_and_signed_by_keys_alone(
    page: Page, database_url: str, worklist: list[SlideMade], capsys: pytest.CaptureFixture[str]
):
    keys = Keys(page)
    password = local_account(database_url, "grace")
    page.goto("/")
    keys.type("grace")
    keys.press("Tab")
    keys.type(password)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Worklist")
    page.wait_for_load_state()
    rows = page.locator("#slides > li")
    expect(rows).to_have_count(SLIDES)
    urgent = {accession(slide.slide_id) for slide in worklist[-URGENT:]}
    assert set(rows.locator(".accession").all_inner_texts()[:URGENT]) == urgent
    expect(rows.first.locator(".found")).to_contain_text("blasts", ignore_case=True)
    expect(rows.first.locator(".where")).to_contain_text("ready")

    logging_in, keys.struck = keys.struck, 0
    keys.press("j", "Enter")
    first = page.get_by_role("heading", level=1)
    expect(first).to_have_text(accession(worklist[-1].slide_id))
    page.wait_for_load_state()
    keys.press("j")
    expect(page.locator(".chosen")).to_be_visible()
    keys.press("6")  # one by one
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(1)
    for selected in range(1, 13):
        keys.press("Space")
        expect(page.locator("#cells li.selected")).to_have_count(selected)
    keys.press("Shift+Digit6")  # twelve at once
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(13)
    keys.press("u")
    expect(page.locator("#cells .caption", has_text="Basophil")).to_have_count(1)

    keys.press("s", "Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Not signed: you have not seen")
    keys.press("Escape")
    unseen = page.locator("[data-unseen]")
    for _ in range(24):
        left = unseen.inner_text()
        if left == "0":
            break
        keys.press("n")
        expect(unseen).not_to_have_text(left)
    keys.press("z")
    expect(page.locator("#review")).not_to_contain_text("full resolution")
    keys.press("s", "Enter")
    expect(first).to_have_text(accession(worklist[-2].slide_id))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{logging_in} keystrokes to log in, {keys.struck} to read and sign a slide of 24\n"
        )
