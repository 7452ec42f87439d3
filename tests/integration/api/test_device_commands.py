"""Operators tell devices what to do; readers ask whoever is at the microscope for more."""

import pytest
from sqlalchemy import text

from factories import DEVICE, SITE
from hemaline_cloud.database.engine import unit_of_work
from hemaline_shared.ids import new_id
from parts.people import logged_in, one_of

ADDRESS = f"/api/v1/devices/{SITE}/{DEVICE}/commands"


@pytest.fixture
def by(anybody, database_url, factory):
    factory.device()
    roles = {"Olga": "operator", "Otto": "operator", "Hera": "haematologist"}
    people = {
        name: logged_in(database_url, (role,), full_name=name) for name, role in roles.items()
    }
    return one_of(anybody, people)


def ask(client, verb, **more):
    return client.post(ADDRESS, json={"verb": verb, "why": "the line is back"} | more)


def test_a_command_is_asked_listed_and_audited_without_its_arguments(by, anybody, factory):
    by("Olga")
    asked = ask(anybody, "start-slide", arguments={"slide_name": "LAB-1"}, lasts_s=120)
    assert (asked.status_code, asked.json()["state"]) == (200, "open")
    (told,) = anybody.get(ADDRESS).json()["commands"]
    assert (told["why"], told["asked_by_name"]) == ("the line is back", "Olga")
    with unit_of_work(factory.engine) as connection:
        said = connection.scalar(text("select detail from audit_events where action = 'command'"))
    assert said == f"{SITE}/{DEVICE}, start-slide: the line is back"
    by("Hera")
    assert anybody.get(ADDRESS).status_code == 403


@pytest.mark.parametrize(
    ("verb", "more", "status"),
    [
        ("format-disk", {}, 422),
        ("start-slide", {}, 422),
        ("flush", {"arguments": {"now": True}}, 422),
        ("flush", {"why": " "}, 422),
        ("flush", {"lasts_s": 1}, 422),
        ("more-fields", {}, 422),
    ],
)
def test_what_no_device_does_is_refused_here_already(by, anybody, verb, more, status):
    by("Olga")
    assert ask(anybody, verb, **more).status_code == status
    assert anybody.get(ADDRESS).json()["commands"] == []


def test_what_deletes_needs_another_operator(by, anybody):
    by("Olga")
    asked = ask(anybody, "discard-kept").json()
    assert asked["state"] == "awaiting-approval"
    there = f"{ADDRESS}/{asked['command_id']}"
    own = anybody.post(f"{there}/approval")
    assert (own.status_code, own.json()["reason"]) == (409, "own-command")
    by("Otto")
    assert anybody.post(f"{there}/approval").json()["approved_by_name"] == "Otto"
    assert anybody.post(f"{there}/withdrawal").status_code == 409
    assert anybody.post(f"{ADDRESS}/{new_id()}/approval").status_code == 404


def test_a_reader_asks_for_more_of_a_slide_with_a_reason_from_the_list(by, anybody, factory):
    slide = factory.slide()
    by("Hera")
    there = f"/api/v1/slides/{slide.slide_id}/requests"
    assert anybody.post(there, json={"reason": "Mr Smith wants it"}).status_code == 422
    body = {"reason": "few-cells", "cells": 60}
    assert anybody.post(there, json={"verb": "recapture"} | body).status_code == 422
    assert anybody.post(there, json=body).json()["state"] == "open"
    (told,) = anybody.get(there).json()["commands"]
    assert told["arguments"] == {"slide_id": str(slide.slide_id)} | body
    by("Olga")
    assert anybody.post(there, json=body).status_code == 403
