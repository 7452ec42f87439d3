"""Each signature adds how often its reader contradicts the model; an amended slide counts once."""

import pytest
from sqlalchemy import text

from factories import DEVICE, SITE, TRAINED
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import MachineRule, ReviewPolicy
from parts.people import as_person, logged_in
from parts.reviewing import Asks

API = "/api/v1/overrides"


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def asks(client, factory, engine):
    """The review of a slide on which the model names blast, neutrophil, lymphocyte, …, blast."""
    made = factory.slide()
    factory.field(made)
    factory.field(made)
    factory.trained_result(made)
    factory.close_slide(made)
    with unit_of_work(engine) as connection:
        make_ready(connection, 1e-6)
    return Asks(client, made)


def by_class(client, address=API):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return {row["model_class"]: row for row in answer.json()["overrides"]}


def test_an_override_is_counted_with_the_signature_and_once_when_it_is_amended(
    client, asks, database_url
):
    cells = list(asks.slide.labels)
    asks.label(cells[0], "monocyte")
    asks.label(cells[1], "neutrophil-band")
    asks.see_all()
    assert by_class(client) == {}
    assert asks.sign().status_code == 200
    blasts = by_class(client)["blast"]
    assert blasts == {
        "site": SITE,
        "device": DEVICE,
        "bundle_id": "cells-1",
        "bundle_sha256": TRAINED,
        "machine_hidden": False,
        "model_class": "blast",
        "cells": 2,
        "overridden": 1,
        "called": {"monocyte": 1},
    }
    assert by_class(client)["neutrophil"]["overridden"] == 0
    asks.label(cells[5], "monocyte")
    assert asks.sign(reason="one more").status_code == 200
    assert by_class(client)["blast"]["called"] == {"monocyte": 2}
    assert by_class(client)["blast"]["cells"] == 2
    assert by_class(client, f"{API}?site={SITE}&device=other") == {}
    page = client.get("/overrides").text
    assert "as monocyte 2" in page
    assert "33% of 6 cells overridden" in page
    metrics = client.get("/metrics").text
    assert f'device="{DEVICE}",machine_hidden="false",model_class="blast",site="{SITE}"}} 2.0' in (
        metrics
    )
    assert str(asks.slide.slide_id) not in metrics
    as_person(client, logged_in(database_url, site="south"))
    assert by_class(client) == {}
    assert "Nothing was signed here" in client.get("/overrides").text


def test_what_nobody_named_without_the_machine_overrides_nothing(client, asks, engine):
    with unit_of_work(engine) as connection:
        machine = MachineRule(order="by-lot", hidden_share=1, seed="a seed")
        set_policy(connection, service("tests"), SITE, ReviewPolicy(machine=machine))
    cells = list(asks.slide.labels)
    asks.label(cells[0], "monocyte")
    asks.see_all()
    assert asks.sign().status_code == 200
    told = by_class(client)
    assert list(told) == ["blast"]
    assert (told["blast"]["cells"], told["blast"]["machine_hidden"]) == (1, True)
    with unit_of_work(engine) as connection:
        kept = connection.scalar(text("select sum(cells) from signed_classes"))
    assert kept == len(cells)
