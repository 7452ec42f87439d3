"""Lists for those who run the system: frames, dead letters, devices, bundles."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from factories import OPENED, TRAINED, UNTRAINED, Factory
from hemaline_cloud.database.appointments import appoint
from hemaline_cloud.principal import operator


def test_the_ledger_lists_every_frame_newest_first_with_its_end(client, factory: Factory):
    slide = factory.slide()
    pending = factory.field(slide)
    rejected = factory.rejected(slide)
    quarantined = factory.quarantined(slide)
    listed = client.get("/api/v1/frames").json()["items"]
    assert [(item["frame_id"], item["state"], item["reason"]) for item in listed] == [
        (str(quarantined), "quarantined", "truncated"),
        (str(rejected), "rejected", "out-of-focus"),
        (str(pending), "pending", None),
    ]
    assert [item["thumbnail"] is None for item in listed] == [True, False, False]
    assert listed[0]["explanation"].startswith("The image file ends too early")


def test_the_ledger_can_show_some_states_of_one_slide(client, factory: Factory):
    slide, other = factory.slide(), factory.slide()
    expected = {str(factory.rejected(slide)), str(factory.quarantined(slide))}
    factory.field(slide)
    factory.rejected(other)
    params = {"slide_id": str(slide.slide_id), "state": ["rejected", "quarantined"]}
    listed = client.get("/api/v1/frames", params=params).json()["items"]
    assert {item["frame_id"] for item in listed} == expected


def test_every_reason_of_a_rejection_is_explained(client, factory: Factory):
    factory.rejected(factory.slide(), "too-dark", "out-of-focus")
    (line,) = client.get("/api/v1/frames").json()["items"]
    assert line["reason"] == "too-dark"
    assert "Turn up the lamp" in line["explanation"]
    assert "Focus and capture" in line["explanation"]


def test_an_unknown_frame_state_is_a_problem(client):
    answer = client.get("/api/v1/frames", params={"state": "lost"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid-request")


def _frames(factory: Factory) -> list[str]:
    slide = factory.slide()
    return [str(factory.rejected(slide)) for _ in range(5)]


def _letters(factory: Factory) -> list[str]:
    return [str(factory.dead_letter(at=OPENED + timedelta(hours=n // 2))) for n in range(5)]


def _devices(factory: Factory) -> list[str]:
    names = [f"scope-{n}" for n in range(5)]
    for name in names:
        factory.device(name)
    return names


def _bundles(factory: Factory) -> list[str]:
    return ["untrained-1", "cells-1"]


def test_a_bundle_says_where_its_answers_count(client, factory: Factory):
    with factory.engine.begin() as connection:
        appoint(connection, operator("ann"), TRAINED, "active")
        appoint(connection, operator("ann"), UNTRAINED, "trial", "north")
    listed = client.get("/api/v1/bundles").json()["items"]
    assert {one["sha256"]: (one["active"], one["trial"]) for one in listed} == {
        TRAINED: ("all sites", None),
        UNTRAINED: (None, "north"),
    }


@pytest.mark.parametrize(
    ("address", "name", "make"),
    [
        ("/api/v1/frames", "frame_id", _frames),
        ("/api/v1/dead-letters", "dead_letter_id", _letters),
        ("/api/v1/devices", "device", _devices),
        ("/api/v1/bundles", "bundle_id", _bundles),
    ],
)
def test_every_list_can_be_paged_to_its_end(client, factory: Factory, address, name, make):
    made = make(factory)
    seen, cursor = [], None
    for _ in range(10):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get(address, params=params).json()
        seen += [item[name] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(made)
    assert set(seen) == set(made)


@pytest.mark.parametrize("name", ["frames", "dead-letters", "devices", "bundles"])
def test_every_list_refuses_a_garbage_cursor(client, name: str):
    answer = client.get(f"/api/v1/{name}", params={"cursor": "garbage"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid-cursor")


def test_a_dead_letter_says_in_words_what_is_wrong(client, factory: Factory):
    factory.dead_letter("unknown-version")
    (letter,) = client.get("/api/v1/dead-letters").json()["items"]
    assert letter["reason"] == "unknown-version"
    assert "another version" in letter["explanation"]


def test_a_device_has_four_facts_and_a_word(client, factory: Factory):
    factory.device(spooled=3)
    (device,) = client.get("/api/v1/devices").json()["items"]
    assert (device["state"], device["reason"]) == ("silent", "no-telemetry")
    assert (device["connection"], device["connection_at"]) == ("connected", "2026-05-04T09:00:00Z")
    assert device["telemetry_at"] == "2026-05-04T09:05:00Z"
    assert (device["capture_at"], device["receipt_at"]) == (None, None)
    assert (device["spool_frames"], device["spool_bytes"]) == (3, 2_400_000)


def test_a_device_s_clock_is_held_against_the_server_s(client, factory: Factory):
    now = datetime.now(UTC)
    factory.device("right", at=now)
    factory.device("wrong", at=now, clock_ahead=-timedelta(hours=3))
    listed = client.get("/api/v1/devices").json()["items"]
    assert {each["device"]: each["clock_ahead_s"] for each in listed} == {
        "right": 0,
        "wrong": -10_800,
    }
    page = client.get("/devices", headers={"accept": "text/html"}).text
    assert page.count("its clock is 3 hours behind") == 1


def test_api_and_page_say_the_same_word_of_a_device(client, factory: Factory):
    now = datetime.now(UTC)
    factory.device("works", at=now, captured_at=now)
    factory.device("idles", at=now)
    factory.device("hangs", at=now, captured_at=now, problems=["capture"])
    factory.device("unheard", at=now - timedelta(minutes=4))
    factory.device("ended", at=now, online=False, stopped=True)
    factory.device("broke", at=now, online=False)
    listed = client.get("/api/v1/devices").json()["items"]
    shown = {device["device"]: device["state"] for device in listed}
    assert shown == {
        "works": "working",
        "idles": "idle",
        "hangs": "not-capturing",
        "unheard": "silent",
        "ended": "stopped",
        "broke": "lost",
    }
    page = client.get("/devices", headers={"accept": "text/html"}).text
    words = re.findall(r'class="pill ([a-z-]+)"', page)
    assert sorted(words) == sorted(shown.values())
