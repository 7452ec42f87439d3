"""Operators set a device by the API; its page tells what it said to that."""

import pytest
from sqlalchemy import text

from factories import DEVICE, SITE
from hemaline_cloud.database.configuration import desired_of, record_report
from hemaline_cloud.database.engine import unit_of_work
from hemaline_shared.device_configuration import ReportedConfiguration
from hemaline_shared.topics import DeviceName
from parts.people import logged_in, one_of

NAME = DeviceName(SITE, DEVICE)
ADDRESS = f"/api/v1/devices/{SITE}/{DEVICE}/configuration"


@pytest.fixture
def client(anybody, database_url, factory):
    factory.device()
    one_of(anybody, {"Olga": logged_in(database_url, ("operator",), full_name="Olga")})("Olga")
    return anybody


def put(client, version=0, why="a thin line", **settings):
    body = {"configuration": settings, "why": why}
    return client.put(ADDRESS, json=body, headers={"If-Match": f'"v{version}"'})


def test_what_is_set_is_pending_until_the_device_answers_and_its_answer_is_on_the_page(
    client, factory
):
    assert client.get(ADDRESS).json()["state"] == "none"
    done = put(client, telemetry_s=60, quality={"blur": 2.5})
    assert (done.status_code, done.headers["etag"], done.json()["state"]) == (
        200,
        '"v1"',
        "pending",
    )
    assert "Sent, no answer yet" in client.get(f"/devices/{SITE}/{DEVICE}").text
    with unit_of_work(factory.engine) as connection:
        wanted = desired_of(connection, NAME)
        told = ReportedConfiguration(
            version=1, sha256=wanted.sha256, outcome="refused", in_force=0, detail="<b>no room"
        )
        record_report(connection, NAME, told)
    page = client.get(f"/devices/{SITE}/{DEVICE}").text
    assert "Refused: &lt;b&gt;no room" in page
    assert "Olga" in page
    with unit_of_work(factory.engine) as connection:
        said = connection.scalar(text("select detail from audit_events where action = 'configure'"))
    assert (
        said == f'{NAME}, version 1, a thin line: {{"telemetry_s":60.0,"quality":{{"blur":2.5}}}}'
    )


@pytest.mark.parametrize(
    "settings",
    [{"telemetry": 5}, {"telemetry_s": 0}, {"quality": {"blur": -1}}, {"spool_quota_bytes": 1}],
)
def test_what_no_device_can_do_is_refused_here_already(client, settings):
    assert put(client, **settings).status_code == 422
    assert client.get(ADDRESS).json()["own_version"] == 0


def test_who_saw_an_older_version_sets_nothing(client):
    assert put(client, telemetry_s=60).status_code == 200
    late = put(client, telemetry_s=20)
    assert (late.status_code, late.json()["type"].endswith("configured-meanwhile")) == (412, True)
    assert put(client, why=" ", telemetry_s=20).status_code == 422
    assert client.put(ADDRESS, json={"configuration": {}, "why": "x"}).status_code == 428
