"""The pages of devices in a real browser: light, dark and narrow, for everybody."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Connection, text

from factories import DEVICE, SITE, Factory
from hemaline_cloud.database.configuration import add_document, desired_of, record_report
from hemaline_cloud.database.device_commands import NewCommand, add_command, record_result
from hemaline_cloud.database.device_history import add_changes
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.fleet.changes import Change
from hemaline_cloud.principal import operator, service
from hemaline_shared.device_commands import CommandResult, Decommission, NoArguments
from hemaline_shared.device_configuration import (
    DeviceConfiguration,
    QualityConfiguration,
    ReportedConfiguration,
)
from hemaline_shared.topics import DeviceName
from parts.browser import new_context
from parts.people import LoggedIn

pytestmark = pytest.mark.real
PAGES = ("/devices", "/devices?show=behind", f"/devices/{SITE}/{DEVICE}")


@pytest.fixture
def fleet(factory: Factory) -> None:
    """Devices of many kinds; one with a history and pictures."""
    now = datetime.now(UTC)
    factory.device(DEVICE, at=now, captured_at=now, spooled=40)
    factory.device("hangs", at=now, captured_at=now - timedelta(hours=1), problems=["pictures"])
    factory.device("rests", at=now, captured_at=now - timedelta(days=3))
    factory.device("clock", at=now, captured_at=now, clock_ahead=timedelta(days=-20_000))
    factory.device("ended", at=now - timedelta(hours=2), online=False, stopped=True, site="south")
    factory.device("broke", at=now - timedelta(days=2), online=False, site="south")
    factory.device("unheard", at=now - timedelta(minutes=9), site="south", spooled=9_000)
    slide = factory.slide()
    for _ in range(3):
        factory.field(slide)
        factory.rejected(slide)
    changes = [
        Change("connected"),
        Change("new-version", "0.1.0 → 0.2.0"),
        Change("problem-began", "pictures"),
        Change("problem-ended", "pictures"),
        Change("heard-again", "400"),
        Change("lost"),
        Change("connected"),
    ]
    with unit_of_work(factory.engine) as connection:
        set_and_refused(connection)
        tell_commands(connection)
        add_changes(connection, DeviceName(SITE, DEVICE), changes)
        connection.execute(
            text(
                "insert into device_hours (site, device, hour, captured, spool_frames,"
                " spool_bytes, judged, blur_sum, density_sum)"
                " select :site, :device, date_trunc('hour', now()) - n * interval '1 hour',"
                " (n * 37) % 120, n % 9, (n % 9) * 800000, 10, 15 + n % 7, 8"
                " from generate_series(0, 47) n where n % 11 <> 4"
            ),
            {"site": SITE, "device": DEVICE},
        )
        connection.execute(
            text(
                "insert into device_frames values (:site, :device, now(), 'accepted', '', 412),"
                " (:site, :device, now(), 'rejected', 'out-of-focus', 17)"
            ),
            {"site": SITE, "device": DEVICE},
        )
        connection.execute(
            text(
                "insert into device_baselines values (:site, :device, 'blur', 900, 1.9, 0.04, 2.4),"
                " (:site, :device, 'density', 900, 0.8, 0.01, 0.81)"
            ),
            {"site": SITE, "device": DEVICE},
        )


def set_and_refused(connection: Connection) -> None:
    """A configuration that the device could not follow."""
    asked = DeviceConfiguration(telemetry_s=60, quality=QualityConfiguration(blur=2.5))
    who = service("tests")
    add_document(connection, who, SITE, DEVICE, asked, "a thin line to the hospital")
    wanted = desired_of(connection, DeviceName(SITE, DEVICE))
    assert wanted
    told = ReportedConfiguration(
        version=wanted.version,
        sha256=wanted.sha256,
        outcome="refused",
        in_force=0,
        detail="spool_quota_bytes: 1,099,511,627,776 do not fit: the disk has room for 9,663,676",
    )
    record_report(connection, DeviceName(SITE, DEVICE), told)


def tell_commands(connection: Connection) -> None:
    """One that awaits approval, and one that collected lines."""
    name, who = DeviceName(SITE, DEVICE), operator("Otto")
    logs = add_command(connection, who, NewCommand(name, "collect-logs", NoArguments(), "slow"))
    lines = ("2026-06-01T12:00:00.000+00:00 INFO hemaline_edge.agent: lab/scope-1: started",) * 3
    result = CommandResult(command_id=logs.command_id, outcome="done", lines=lines)
    record_result(connection, service("tests"), name, result)
    asked = NewCommand(name, "decommission", Decommission(), "the microscope is sold")
    add_command(connection, who, asked)


@pytest.fixture(params=["light", "dark", "narrow"])
def page(
    request: pytest.FixtureRequest, browser: Browser, api_address: str, person: LoggedIn, fleet
) -> Iterator[Page]:
    context = new_context(browser, api_address)
    person.enter(context, api_address)
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if request.param == "dark" else "light")
    if request.param == "narrow":
        page.set_viewport_size({"width": 390, "height": 844})
    yield page
    context.close()


def test_nothing_is_in_the_way_of_anybody(page: Page):
    for address in PAGES:
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, address


@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_an_operator_approves_what_another_asked_and_asks_for_a_slide(page: Page):
    page.goto(f"/devices/{SITE}/{DEVICE}")
    commands = page.locator("#commands")
    commands.get_by_role("button", name="Approve").click()
    expect(commands).to_contain_text("approved by")
    page.get_by_label("Let it").select_option("start-slide")
    page.get_by_label("Slide, as the laboratory calls it").fill("LAB-77")
    page.get_by_label("Why; it is kept here").fill("asked by phone")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(commands).to_contain_text("asked by phone")
    expect(page.get_by_label("Why; it is kept here")).to_have_value("")
