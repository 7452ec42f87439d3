"""The browser of the tests: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from conftest import missing

_LONG_MS = 120_000
expect.set_options(timeout=_LONG_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(executable).exists():
        missing("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox"], timeout=_LONG_MS
        )
        yield browser
        browser.close()


def new_context(browser: Browser, address: str) -> BrowserContext:
    """Return a browser of its own on a server; it waits as long as a busy machine needs."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=address)
    context.set_default_timeout(_LONG_MS)
    return context
