"""A haematologist's morning in a real browser: from log-in to the next slide, without a mouse.

The identity provider is a real one, and asks again before the first signature.
"""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from pydantic import HttpUrl, SecretStr
from sqlalchemy import text

from drawn_fields import draw_field
from factories import SITE, Factory, SlideMade
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.settings import ApiSettings, OidcRule, OidcSettings
from hemaline_local.ports import free_port
from hemaline_shared.ids import accession
from parts.api import api_server
from parts.browser import new_context
from parts.oidc import CLIENT_SECRET, OidcPart, oidc_script

__all__ = ["oidc_script"]

pytestmark = [pytest.mark.real, pytest.mark.deploy]  # one of the longest

SLIDES, URGENT = 30, 3
CELLS = 36
"""Of the first slide that is read: more than are in view while some of them are named."""


@pytest.fixture
def worklist(factory: Factory) -> list[SlideMade]:
    """30 slides that wait; the three that came last are urgent, the last with many blasts."""
    now, drawn = datetime.now(UTC), [draw_field(cells=6, seed=seed) for seed in range(CELLS // 6)]
    slides = []
    for number in range(SLIDES):
        slide = factory.slide(opened_at=now - timedelta(minutes=SLIDES - number))
        urgent = number >= SLIDES - URGENT
        for one in drawn if number == SLIDES - 1 else drawn[:1]:
            factory.field(slide, one)
        labels = ("blast",) if urgent else ("neutrophil", "lymphocyte")
        factory.trained_result(slide, urgency=2 if urgent else 0, labels=labels)
        factory.close_slide(slide)
        slides.append(slide)
    with unit_of_work(factory.engine) as connection:
        make_ready(connection, 1e-6)
    factory.signed_label(slides[0], "basophil")
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
def address(api_settings: ApiSettings, oidc_script: Path) -> Iterator[str]:
    """A server whose people log in at a provider of the hospital; Grace sits before the browser."""
    port = free_port()
    public = f"http://127.0.0.1:{port}"
    provider = OidcPart(oidc_script, [f"{public}/log-in/oidc/callback"])
    provider.start()
    provider.let_sit("grace", "blood-doctors", name="Grace Hopper")
    oidc = OidcSettings(
        issuer=HttpUrl(provider.issuer),
        name="the hospital's account",
        client_id="hemaline",
        client_secret=SecretStr(CLIENT_SECRET),
        scopes="openid profile groups",
        rules=(OidcRule(group="blood-doctors", role="haematologist", site=SITE),),
    )
    settings = {"oidc": oidc, "public_url": HttpUrl(public)}
    with api_server(api_settings.model_copy(update=settings), port) as opened:
        yield opened
    provider.stop()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = new_context(browser, address)
    opened = context.new_page()
    opened.set_viewport_size({"width": 1280, "height": 560})
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    context.close()
    assert faults == []


def let_the_log_in_be_long_ago(factory: Factory) -> None:
    with unit_of_work(factory.engine) as connection:
        connection.execute(text("update sessions set authenticated_at = now() - interval '1 day'"))


def name_cells(page: Page, keys: Keys) -> None:
    """One, then twelve at once, which are taken back at once."""
    basophils = page.locator("#cells .caption", has_text="Basophil")
    keys.press("j")
    expect(page.locator(".chosen")).to_be_visible()
    keys.press("6")
    expect(basophils).to_have_count(1)
    for selected in range(1, 13):
        keys.press("Space")
        expect(page.locator("#cells li.selected")).to_have_count(selected)
    compare(page, keys)
    keys.press("Shift+Digit6")
    expect(basophils).to_have_count(13)
    keys.press("u")
    expect(basophils).to_have_count(1)


def compare(page: Page, keys: Keys) -> None:
    """The selected cells side by side, above what the site's readers have named so and signed."""
    keys.press("c")
    dialog = page.get_by_role("dialog", name="Side by side")
    expect(dialog.locator("#compared li")).to_have_count(6)  # as many as there is room for
    references = dialog.locator("#reference-cells")
    expect(references).to_have_text("Nobody here has named and signed a blast yet.")
    keys.press("6")
    expect(references.locator("img")).to_have_count(1)
    expect(references).to_contain_text("tests")
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#cells li.selected")).to_have_count(12)


def see_what_is_unseen(page: Page, keys: Keys) -> int:
    """Jump to each cell that a refused signature tells of; return how many there were."""
    told = page.get_by_role("dialog")
    keys.press("s", "Enter")
    expect(told).to_contain_text("Not signed: you have not seen")
    left = re.search(r"not seen (\d+) cells? and 1 field", told.inner_text())
    assert left, told.inner_text()
    named = told.locator("a.unseen-cell")
    expect(named).to_have_count(min(int(left[1]), 8))
    expect(named.first).to_have_text("Blast")
    unseen, jumps = page.locator("[data-unseen]"), 0
    while (before := unseen.inner_text()) != "0":
        keys.press("n")
        expect(unseen).not_to_have_text(before)
        jumps += 1
    assert 1 <= jumps <= int(left[1])
    keys.press("z")
    expect(page.locator("#review")).not_to_contain_text("full resolution")
    return jumps


def sign_after_showing_who_it_is(page: Page, keys: Keys) -> None:
    """The provider asks again in a tab of its own; what was begun waits in this one."""
    dialog = page.get_by_role("dialog")
    keys.press("s", "Enter")
    again = dialog.get_by_role("link", name="Log in")
    expect(again).to_be_focused()
    with page.context.expect_page() as opened:
        keys.press("Enter")
    other = opened.value
    expect(other.get_by_role("heading", level=1)).to_have_text("Show that it is you")
    other.keyboard.press("Enter")
    keys.struck += 1
    expect(other.get_by_role("heading", level=1)).to_have_text(re.compile("^S-"))
    other.close()
    expect(dialog.get_by_role("button", name="Sign")).to_be_focused()
    keys.press("Enter")


def test_the_urgent_slides_are_read_named_and_signed_by_keys_alone(
    page: Page, factory: Factory, worklist: list[SlideMade], capsys: pytest.CaptureFixture[str]
):
    keys = Keys(page)
    page.goto("/")
    expect(page.get_by_role("link", name="Log in with the hospital's account")).to_be_focused()
    scripts: list[Route] = []

    def hold(route: Route) -> None:
        scripts.append(route)

    page.route("**/static/hemaline.js*", hold)
    keys.press("Enter")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Worklist")
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible()
    rows = page.locator("#slides > li")
    expect(rows).to_have_count(SLIDES)
    urgent = {accession(slide.slide_id) for slide in worklist[-URGENT:]}
    assert set(rows.locator(".accession").all_inner_texts()[:URGENT]) == urgent
    expect(rows.first.locator(".found")).to_contain_text("blasts", ignore_case=True)
    expect(rows.first.locator(".where")).to_contain_text("ready")

    let_the_log_in_be_long_ago(factory)
    logging_in, keys.struck = keys.struck, 0
    keys.press("j")  # quicker than the page's script, which comes now
    scripts[0].continue_()
    page.unroute("**/static/hemaline.js*")
    expect(rows.first.locator("a")).to_be_focused()
    keys.press("Enter")
    expect(heading).to_have_text(accession(worklist[-1].slide_id))
    name_cells(page, keys)
    jumps = see_what_is_unseen(page, keys)
    sign_after_showing_who_it_is(page, keys)
    expect(heading).to_have_text(accession(worklist[-2].slide_id))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{logging_in} keystroke to log in, {keys.struck} to read and sign a slide of {CELLS}"
            f" cells and to show who it is, {jumps} of them jumps to unseen cells\n"
        )
