"""The page at the microscope in a real browser, before an agent that is killed and comes back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from hemaline_edge.device_commands.kept import KeptCommands, Record, write_commands
from hemaline_local.ports import free_port, http_ok
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.device_commands import Command
from hemaline_shared.ids import new_id
from parts.edge_process import EdgeProcess, environment
from parts.waiting import LONG_S, wait_until

pytestmark = pytest.mark.real


def a_request() -> Record:
    """What a reader asks, as the device keeps it."""
    now = datetime.now(UTC)
    command = Command(
        command_id=new_id(),
        verb="more-fields",
        arguments={"slide_id": str(new_id()), "reason": "few-cells", "cells": 60},
        asked_by="Dr Ada Alder",
        sent_at=now,
        expires_at=now + timedelta(days=7),
    )
    return Record(command=command, state="received")


def look(page: Page) -> None:
    """Nothing is in the way of anybody, light, dark or narrow; nothing comes from elsewhere."""
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 844})
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_technologist_goes_on_after_the_agent_was_killed(browser: Browser, tmp_path: Path):
    port = free_port()
    spool, images = tmp_path / "spool", tmp_path / "images"
    images.mkdir()
    spool.mkdir()
    write_commands(spool, KeptCommands(records=(a_request(),)))
    broker = BrokerSettings(host="127.0.0.1", port=free_port())
    env = environment(spool, images, broker, PAGE__PORT=str(port))
    context = browser.new_context()
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    agent = EdgeProcess(env, tmp_path / "log", "run")
    try:
        open_page(page, port)
        page.get_by_label("Slide", exact=True).fill("LAB-77")
        page.get_by_role("button", name="Start slide").click()
        expect(page.get_by_role("heading", name="Slide LAB-77")).to_be_visible()
        requests = page.locator("#asked")
        expect(requests).to_contain_text("about 60 more white cells")
        look(page)
        requests.get_by_role("button", name="Seen").click()
        expect(requests.get_by_role("button", name="Seen")).to_have_count(0)
        agent.kill()
        expect(page.get_by_text("The agent does not answer")).to_be_visible()
        with page.expect_navigation(timeout=1000 * LONG_S):  # it is another run: its page is new
            agent = EdgeProcess(env, tmp_path / "log", "run")
        expect(page.get_by_text("The agent does not answer")).to_be_hidden()
        expect(page.get_by_role("heading", name="Slide LAB-77")).to_be_visible()
        requests.get_by_role("button", name="Done").click()
        expect(requests).to_be_hidden()
        page.get_by_role("button", name="End slide").click()
        expect(page.get_by_role("heading", name="No slide is started")).to_be_visible()
    finally:
        agent.kill()
        context.close()
    assert {url.split("/")[2] for url in asked} == {f"127.0.0.1:{port}"}


def open_page(page: Page, port: int) -> None:
    """Wait for the agent's page."""
    wait_until(lambda: http_ok(port, "/"))
    page.goto(f"http://127.0.0.1:{port}/")
