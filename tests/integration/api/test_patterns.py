"""Which patterns a slide's counts fit: told beside them, frozen with them, never pushed."""

import pytest
from sqlalchemy import text

from drawn_fields import draw_field
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.orders.order import BloodCount
from hemaline_cloud.patterns.rules import SHIPPED, shipped_rules
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import MachineRule, ReviewPolicy, SecondReaderRule
from parts.people import logged_in, one_of
from parts.reviewing import Asks

ADA, BOB = "Ada", "Bob"
_BY_MODEL = {"blast": (0.3, 0.5), "neutrophil": (0.2, 0.4), "lymphocyte": (0.2, 0.4)}
BLASTS_BY_MODEL = {
    "counting": {"found": 200, "counted": 200, "excluded": {}, "named": 200, "unclassified": 0},
    "differential": [
        {"label": label, "cells": 60, "fraction": low, "low": low, "high": high}
        for label, (low, high) in _BY_MODEL.items()
    ],
    "blasts": {
        "cells": 80,
        "leukocytes": 200,
        "fraction": 0.4,
        "low": 0.3,
        "high": 0.5,
        "thresholds": [{"name": "WHO 2022", "fraction": 0.2, "verdict": "above"}],
    },
}


@pytest.fixture
def act_as(anybody, database_url):
    people = {
        name: logged_in(database_url, ("haematologist",), full_name=name) for name in (ADA, BOB)
    }
    return one_of(anybody, people)


@pytest.fixture
def client(anybody, act_as):
    return anybody


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def hold(engine):
    def let_hold(**policy):
        with unit_of_work(engine) as connection:
            set_policy(connection, service("tests"), "north", ReviewPolicy(**policy))

    return let_hold


@pytest.fixture
def asks(client, factory, engine):
    """A slide of sixty cells with a result that counts more, two fifths of them blasts."""
    made = factory.slide()
    for place in range(6):
        factory.field(made, draw_field(cells=10, seed=place, red_cells=0))
    factory.trained_result(made, **BLASTS_BY_MODEL)
    factory.close_slide(made)
    counted = BloodCount.model_validate({"wbc": {"value": 61200, "unit": "/uL"}})
    factory.order(made, "24-00017", blood_count=counted)
    with unit_of_work(engine) as connection:
        make_ready(connection, 1e-6)
    return Asks(client, made)


def name_all(asks, label, cells=60):
    labels = [
        {"cell_id": str(cell), "label": label, "version": 0}
        for cell in list(asks.slide.labels)[:cells]
    ]
    answer = asks._client.post(
        f"/api/v1/slides/{asks.slide.slide_id}/labels", json={"labels": labels}
    )
    assert answer.status_code == 200, answer.text


def fitting(counted):
    return {
        one["pattern"]: one["verdict"]
        for one in counted["patterns"]
        if one["verdict"] != "does-not-fit"
    }


def test_the_models_count_is_told_until_people_name_cells_and_stays_beneath_theirs(asks):
    told = asks.read()["patterns"]
    assert told["notice"].endswith("For research use only; no diagnosis.")
    assert told["rules"]["sha256"] == shipped_rules().used.sha256
    assert told["read"] is None
    assert (fitting(told["model"])["aml"], told["model"]["cells"]) == ("may-fit", 200)
    asks.label(next(iter(asks.slide.labels)), "monocyte")
    both = asks.read()["patterns"]
    assert both["model"] == told["model"]
    assert (both["read"]["named_by_people"], both["read"]["provisional"]) == (1, True)


def test_the_readers_count_is_told_anew_with_each_label(asks):
    name_all(asks, "lymphocyte")
    read = asks.read()["patterns"]["read"]
    assert (read["cells"], read["named_by_people"], read["provisional"]) == (60, 60, True)
    assert "aml" not in fitting(read)
    (cll,) = [one for one in read["patterns"] if one["pattern"] == "cll"]
    # The order brought 61.2·10⁹/L of white cells.
    in_volume = next(one for one in cll["speaks_for"] if one["name"] == "Lymphocytes in a volume")
    assert in_volume["low"] > 50
    page = asks._client.get(f"/slides/{asks.slide.slide_id}").text
    assert "Chronic lymphocytic leukaemia (CLL)" in page
    assert "no diagnosis" in page


def test_what_was_shown_is_frozen_and_the_report_tells_of_it_only_if_it_was_kept(asks, client):
    fhir = f"/fhir/R4/DiagnosticReport/{asks.slide.slide_id}"
    shown = asks.read()["patterns"]
    asks.see_all()
    first = asks.sign().json()
    report = asks.report(first).json()
    assert (report["patterns"], report["pattern_kept"]) == (shown, False)
    assert "Patterns that the reader kept" not in client.get(fhir).json()["conclusion"]
    kept = asks.sign(reason="to keep it", keep_pattern=True).json()
    assert asks.report(kept).json()["pattern_kept"] is True
    told = client.get(fhir).json()["conclusion"]
    assert "Patterns that the reader kept: may fit Acute" in told
    assert "no diagnosis" in told
    assert asks.paper(kept).content != asks.paper(first).content


def test_what_was_not_shown_cannot_be_kept(asks, hold):
    hold(machine=MachineRule(order="by-lot", hidden_share=1, seed="a seed"))
    asks.see_all()
    refused = asks.sign(keep_pattern=True)
    assert (refused.status_code, refused.json()["reason"]) == (409, "no-pattern")
    assert asks.read()["signatures"] == []


def test_whoever_must_not_know_the_machine_is_told_of_their_own_count_alone(asks, hold):
    hold(machine=MachineRule(order="by-lot", hidden_share=1, seed="a seed"))
    told = asks.read()["patterns"]
    assert (told["model"], told["read"]) == (None, None)
    name_all(asks, "lymphocyte")
    told = asks.read()["patterns"]
    assert told["model"] is None
    assert told["read"]["cells"] == 60


def test_nothing_is_told_of_a_slide_that_awaits_its_second_reader(asks, hold, act_as, client):
    hold(second_reader=SecondReaderRule())
    shown = asks.read()["patterns"]
    asks.see_all()
    assert asks.finish().json()["state"] == "awaiting-second-reader"
    act_as(BOB)
    asks.step("begin-review")
    assert asks.read()["patterns"] is None
    assert "leukaemia (AML)" not in client.get(f"/slides/{asks.slide.slide_id}").text
    asks.see_all()
    signed = asks.finish().json()["signature"]
    # What the first reader was shown is what stands behind the signature.
    assert asks.report(signed).json()["patterns"] == shown


def test_a_site_has_rules_of_its_own_and_their_hash_is_told(asks, hold):
    own = SHIPPED.read_text("utf-8").replace('version = "1"', 'version = "north 1"')
    hold(pattern_rules=own.replace("least_cells = 50 ", "least_cells = 300 "))
    told = asks.read()["patterns"]
    assert told["rules"]["version"] == "north 1"
    assert told["rules"]["sha256"] != shipped_rules().used.sha256
    assert told["model"]["silent"] == "too-few-cells"


def test_rules_that_this_version_cannot_read_say_nothing_and_stop_nothing(
    asks, hold, engine, caplog
):
    hold()
    with unit_of_work(engine) as connection:
        connection.execute(
            text(
                "insert into review_policies (policy_id, site, version, content, made_by)"
                " select gen_random_uuid(), site, version + 1,"
                ' content || \'{"pattern_rules": "of a later version"}\', made_by'
                " from review_policies where site = 'north'"
            )
        )
    assert asks.read()["patterns"] is None
    assert "no pattern is told at north" in caplog.text
