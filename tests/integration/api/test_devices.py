"""The pages of devices: filters with counts, one device, and what roles see there."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, insert, text

from factories import DEVICE, SITE, Factory
from hemaline_cloud.api.authentication import COOKIE
from hemaline_cloud.database.device_history import add_changes, add_to_hour
from hemaline_cloud.database.devices import add_enrolled, record_status
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.schema import DeviceBaseline
from hemaline_cloud.fleet.changes import Change
from hemaline_shared.messages import Status
from hemaline_shared.topics import DeviceName
from parts.people import logged_in

HTML = {"accept": "text/html"}


def page(client, address):
    answer = client.get(address, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


def shown(client, address="/devices") -> set[str]:
    return set(re.findall(r'href="/devices/[a-z0-9-]+/([a-z0-9-]+)"', page(client, address)))


def counts(client, address="/devices") -> dict[str, int]:
    told = re.findall(r">([^<>]+) <b class=\"number\">(\d+)</b>", page(client, address))
    return {name: int(number) for name, number in told}


@pytest.fixture
def fleet(factory: Factory):
    """One device of each kind, at two sites."""
    now = datetime.now(UTC)
    factory.device("works", at=now, captured_at=now)
    factory.device("rests", at=now, captured_at=now - timedelta(hours=2))
    factory.device("unused", at=now, captured_at=now - timedelta(days=2))
    factory.device("behind", at=now, captured_at=now, spooled=40)
    factory.device("hangs", at=now, captured_at=now, problems=["pictures"])
    factory.device("off", at=now, captured_at=now, clock_ahead=timedelta(days=3650))
    factory.device("ended", at=now, online=False, stopped=True)
    factory.device("drifts", at=now, captured_at=now, site="south")
    factory.device("broke", at=now, online=False, site="south")
    drift = {"frames": 900, "mean": 2.0, "variance": 0.04, "recent": 2.9}
    with unit_of_work(factory.engine) as connection:
        connection.execute(
            insert(DeviceBaseline).values(site="south", device="drifts", measure="blur", **drift)
        )


@pytest.mark.usefixtures("fleet")
def test_filters_stand_in_the_address_with_their_counts(client):
    told = counts(client)
    assert told == {
        "All": 9,
        SITE: 7,
        "south": 2,
        "Working": 4,
        "Idle": 2,
        "Not capturing": 1,
        "Stopped": 1,
        "Lost": 1,
        "Nothing captured today": 1,
        "Behind": 1,
        "Drifting": 1,
        "Clock off": 1,
    }
    assert shown(client, "/devices?show=behind") == {"behind"}
    assert shown(client, "/devices?show=unused") == {"unused"}
    assert shown(client, "/devices?show=drifting") == {"drifts"}
    assert shown(client, "/devices?show=working") == {"works", "behind", "off", "drifts"}
    assert shown(client, "/devices?show=working&site=south") == {"drifts"}
    assert counts(client, "/devices?site=south")["All"] == 2


@pytest.mark.usefixtures("fleet")
def test_a_filter_that_finds_nothing_says_so(client):
    assert "No device here" in page(client, "/devices?show=hot")
    assert client.get("/devices?show=nonsense").status_code == 422


def test_where_nobody_is_heard_the_page_suspects_this_side(client, factory: Factory):
    long_ago = datetime.now(UTC) - timedelta(minutes=9)
    for name in ("one", "two"):
        factory.device(name, at=long_ago)
    assert "Nothing was heard of any device" in page(client, "/devices")
    factory.device("three", at=datetime.now(UTC))
    assert "Nothing was heard of any device" not in page(client, "/devices")


def test_the_page_asks_as_often_for_many_devices_as_for_few(client, factory: Factory):
    asked = []

    def count(_connection, _cursor, statement, *_):
        if "device" in statement:  # what seals the audit asks beside it
            asked.append(1)

    def queries() -> int:
        asked.clear()
        page(client, "/devices")
        return len(asked)

    now = datetime.now(UTC)
    factory.device("first", at=now)
    page(client, "/devices")  # the first one of a session writes that it is in use
    event.listen(Engine, "before_cursor_execute", count)
    few = queries()
    for number in range(60):
        factory.device(f"scope-{number}", at=now, site=f"site-{number % 7}")
    assert queries() == few > 0
    event.remove(Engine, "before_cursor_execute", count)


@pytest.fixture
def known(factory: Factory):
    """A device with a history and pictures."""
    now = datetime.now(UTC)
    factory.device(DEVICE, at=now, captured_at=now, spooled=3)
    slide = factory.slide()
    factory.field(slide)
    factory.rejected(slide)
    name = DeviceName(SITE, DEVICE)
    with unit_of_work(factory.engine) as connection:
        changes = [
            Change("connected"),
            Change("new-version", "0.1 → 0.2"),
            Change("heard-again", "300"),
            Change("problem-began", "pictures"),
            Change("problem-ended", "pictures"),
            Change("new-spool"),
            Change("stopped"),
            Change("lost"),
        ]
        add_changes(connection, name, changes)
        add_to_hour(connection, name, captured=12, spool_frames=3, spool_bytes=2_400_000)
        connection.execute(
            text(
                "insert into device_frames values (:site, :device, now(), 'rejected',"
                " 'out-of-focus', 4)"
            ),
            {"site": SITE, "device": DEVICE},
        )
    return slide


@pytest.mark.usefixtures("known")
def test_one_device_tells_its_facts_its_hours_and_what_changed(client):
    told = page(client, f"/devices/{SITE}/{DEVICE}")
    for words in (
        "It captures, and tells so.",
        "12 in 48 hours",
        "at most 2.4 MB",
        "4 frames",
        "Out of focus.",
        "Software 0.1 → 0.2",
        "Heard again after 5 minutes of silence",
        "Problem: the same picture comes again and again, or damaged ones",
        "Another spool: it was emptied or replaced",
        "Stopped in good order",
        "Connection lost",
    ):
        assert words in told, words
    assert len(re.findall(r"<rect [^>]*><title>", told)) == 2, "one hour of two charts"


@pytest.mark.usefixtures("fleet")
def test_a_device_that_is_not_known_is_not_found(client):
    assert client.get(f"/devices/{SITE}/nobody", headers=HTML).status_code == 404


@pytest.mark.parametrize(
    ("role", "sees"),
    [("technologist", True), ("haematologist", True), ("operator", False), ("admin", False)],
)
def test_pictures_are_for_those_who_review_slides(anybody, database_url, known, role, sees):
    headers = HTML | {"Cookie": f"{COOKIE}={logged_in(database_url, (role,), SITE).secret}"}
    told = anybody.get(f"/devices/{SITE}/{DEVICE}", headers=headers).text
    assert ("/thumbnail" in told) is sees
    assert (f"{SITE} sees them" in told) is not sees
    assert "Connection lost" in told


@pytest.mark.usefixtures("fleet")
def test_the_metrics_say_the_same_word_as_the_page(client):
    told = client.get("/metrics").text
    words = dict(
        re.findall(r'hemaline_device_state\{device="([a-z]+)",[^}]*state="([a-z-]+)"\} 1\.0', told)
    )
    listed = client.get("/api/v1/devices").json()["items"]
    assert words == {each["device"]: each["state"] for each in listed}
    assert 'hemaline_device_attention{attention="behind",device="behind",site="north"} 1.0' in told


def test_a_device_that_enrolled_is_never_seen_until_it_calls(client, factory: Factory):
    name = DeviceName(SITE, "new")
    with unit_of_work(factory.engine) as connection:
        add_enrolled(connection, name)
        add_enrolled(connection, name)  # it renews its certificate
    (listed,) = client.get("/api/v1/devices").json()["items"]
    assert (listed["state"], listed["reason"]) == ("never-seen", "never-connected")
    assert counts(client)["Never seen"] == 1
    assert "It was set up, and has not called yet." in page(client, f"/devices/{SITE}/new")
    told = client.get("/metrics").text
    assert f'hemaline_device_state{{device="new",site="{SITE}",state="never-seen"}} 1.0' in told
    assert "hemaline_device_connection_timestamp_seconds{" not in told
    birth = Status(online=True, session=1, edge_version="1.0", at=datetime.now(UTC), spool_id=7)
    with unit_of_work(factory.engine) as connection:
        record_status(connection, name, birth)
    (listed,) = client.get("/api/v1/devices").json()["items"]
    assert (listed["state"], listed["edge_version"]) == ("idle", "1.0")
    assert "new-version" not in page(client, f"/devices/{SITE}/new")
