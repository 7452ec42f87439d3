"""A site lets readers read without the machine first: until then nothing tells what it says."""

import pytest
from sqlalchemy import text

from factories import LABELS
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import MachineRule, ReviewPolicy, SecondReaderRule, is_drawn
from parts.people import logged_in, one_of
from parts.postgres import as_owner
from parts.reviewing import Asks
from parts.surfaces import AGE, every_answer

ADA, BOB, TOM = "Ada", "Bob", "Tom"
NAMED_FIRST = MachineRule(order="after-own", after_cells=3)
DRAWN = MachineRule(order="by-lot", hidden_share=1, seed="a seed")
NOT_DRAWN = MachineRule(order="by-lot", hidden_share=0, seed="a seed")
FROM_SECOND = MachineRule(hidden_from_second=True)
SUBTYPES = {
    "all-subtype": {
        network: {"benign": 0.1, "early-pre-b": 0.2, "pre-b": 0.6, "pro-b": 0.1}
        for network in ("resnet34", "densenet121", "average")
    }
}


@pytest.fixture
def act_as(anybody, database_url):
    roles = {TOM: ("technologist",)}
    people = {
        name: logged_in(database_url, roles.get(name, ("haematologist",)), full_name=name)
        for name in (ADA, BOB, TOM)
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
def both(factory, engine):
    """A slide of two fields that is not urgent, and a newer one that is."""
    blasts = {
        "cells": 6,
        "leukocytes": 10,
        "fraction": 0.6,
        "low": 0.4,
        "high": 0.8,
        "thresholds": [{"name": "WHO 2022", "fraction": 0.2, "verdict": "above"}],
    }
    apl = {"cells": 6, "probability": 0.9, "low": 0.8, "high": 1}
    slides = []
    for urgency in (0, 3):
        made = factory.slide()
        slides.append(made)
        factory.field(made)
        factory.field(made)
        for field in made.fields:
            factory.field_answers(field, SUBTYPES)
        factory.trained_result(made, urgency=urgency, blasts=blasts, apl=apl)
        factory.close_slide(made)
        factory.order(made, f"24-{urgency}")
    with unit_of_work(engine) as connection:
        make_ready(connection, 1e-6)
    return slides


@pytest.fixture
def made(both):
    """The urgent one."""
    return both[1]


@pytest.fixture
def asks(client, made):
    return Asks(client, made)


@pytest.fixture
def cells(made):
    return list(made.labels)


@pytest.fixture
def rule(engine):
    def hold(machine, second_reader=None):
        with unit_of_work(engine) as connection:
            policy = ReviewPolicy(machine=machine, second_reader=second_reader)
            set_policy(connection, service("tests"), "north", policy)

    return hold


def judge_otherwise(database_url, *slides):
    """Let the machine have said something else of slides, as nobody can in service."""
    of_slides = f"slide_id in ({', '.join(repr(str(slide.slide_id)) for slide in slides)})"
    of_fields = f"frame_id in (select frame_id from frames where {of_slides})"
    other = (
        '{"cells_by_class": {"monocyte": 9}, "differential": [], "blasts": null, "apl": null,'
        ' "flags": [{"code": "apl-suspected", "text": "other"}], "urgency": 1}'
    )
    swapped = (
        "replace(replace(replace(labels, 'blast', '-'), 'monocyte', 'blast'), '-', 'monocyte')"
    )
    engine = make_engine(as_owner(database_url), principal=service("tests"))
    with unit_of_work(engine) as connection:
        for statement in (
            "alter table result_revisions disable trigger user",
            f"update result_revisions set content = content || '{other}' where {of_slides}",
            "alter table result_revisions enable trigger user",
            f"update slides set urgency = 3 - urgency where {of_slides}",
            f"update cell_predictions set labels = {swapped} where {of_fields}",
            f"update cell_predictions set probabilities = null, answers = null where {of_fields}",
            f"update cell_predictions set heats = null, heat_map_width = null where {of_fields}",
            f"delete from field_predictions where {of_fields}",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()


def read_first(asks):
    asks.see_all()
    assert asks.finish(reason="as agreed").json()["state"] == "awaiting-second-reader"


@pytest.mark.parametrize("machine", [NAMED_FIRST, FROM_SECOND])
def test_no_answer_changes_when_the_machine_says_something_else(
    client, both, asks, cells, rule, act_as, database_url, machine
):
    """Not by order, colour, number, words or bytes: page, JSON, FHIR, PDF, thumbnails, lists."""
    made = both[1]
    if machine is FROM_SECOND:
        read_first(asks)
        act_as(BOB)
        asks.step("begin-review")
    rule(machine)
    asks.label(cells[0], "basophil")
    before = every_answer(client, made, cells[1])
    judge_otherwise(database_url, *(both if machine is NAMED_FIRST else [made]))
    after = every_answer(client, made, cells[1])
    assert len(before) > 40
    for address, answer in before.items():
        assert after[address] == answer, address
    rule(MachineRule())
    for address in (f"/slides/{made.slide_id}", f"/api/v1/slides/{made.slide_id}", "/"):
        assert AGE.sub("", client.get(address).text) not in after[address]


def test_once_a_reader_has_named_enough_cells_the_machine_is_shown_to_them_alone(
    client, made, asks, cells, rule, act_as
):
    rule(NAMED_FIRST)
    read = asks.read()
    assert read["machine"] == {
        "hidden": True,
        "order": "after-own",
        "hidden_from_second": False,
        "named": 0,
        "to_name": 3,
    }
    for cell in cells[:2]:
        asks.label(cell, "basophil")
    assert model_of(client, cells[0]) is None
    page = client.get(f"/slides/{made.slide_id}").text
    assert "once you have named 3 cells; 2 so far" in page
    asks.label(cells[2], "eosinophil")
    assert model_of(client, cells[0]) == "blast"
    assert not asks.read()["machine"]["hidden"]
    act_as(TOM)
    assert model_of(client, cells[0]) is None


def model_of(client, cell):
    return client.get(f"/api/v1/cells/{cell}").json()["label"]


def test_who_reads_without_the_machine_must_see_every_cell_and_counts_alone(
    client, made, asks, cells, rule
):
    rule(DRAWN)
    told = asks.read()
    assert {cell["cell_id"] for cell in told["to_see"]} == set(map(str, cells))
    assert {cell["reason"] for cell in told["to_see"]} == {"machine-hidden"}
    for cell in cells[:-1]:
        asks.label(cell, "lymphocyte")
    assert asks.sign().json()["reason"] == "not-all-seen"
    asks.see_all()
    signed = asks.sign()
    assert signed.status_code == 200, signed.text
    report = asks.report(signed.json()).json()
    assert report["cells_by_reader"] == {"lymphocyte": len(cells) - 1, "unclassified": 1}
    assert report["cells_by_model"]["blast"] == 2
    assert report["result"]["urgency"] == 3
    machine = report["machine"]
    assert (machine["hidden"], machine["named"]) == (True, len(cells) - 1)
    assert is_drawn(machine["seed"], made.slide_id, machine["hidden_share"])
    assert client.get(f"/api/v1/slides/{made.slide_id}").json()["urgency"] == 3
    assert model_of(client, cells[0]) == "blast"
    fhir = client.get(f"/fhir/R4/Observation/{made.slide_id}.lymphocyte").json()
    assert fhir["valueQuantity"]["value"] == 100


def test_the_lot_spares_the_others(asks, rule, client, cells):
    rule(NOT_DRAWN)
    assert not asks.read()["machine"]["hidden"]
    assert model_of(client, cells[0]) == "blast"
    asks.see_all()
    report = asks.report(asks.sign().json()).json()
    assert report["machine"]["hidden"] is False
    assert report["machine"]["hidden_share"] == 0


def test_a_flag_of_the_hidden_machine_calls_for_no_second_reader(asks, rule):
    """Its refusal would tell of the flag."""
    rule(DRAWN, SecondReaderRule(flags=("blasts-present",)))
    assert asks.read()["second_reader_wanted"] == []
    asks.see_all()
    assert asks.sign().status_code == 200


def test_two_readings_are_compared_by_what_each_of_them_knew(asks, rule, act_as, client, cells):
    read_first(asks)
    act_as(BOB)
    rule(FROM_SECOND)
    asks.step("begin-review")
    left_out = cells[1]
    for number, cell in enumerate(cells):
        if cell != left_out:
            asks.label(cell, LABELS[number % len(LABELS)])
    asks.see_all()
    assert asks.finish().json()["state"] == "signed"
    _, other = asks.readings()["readings"]
    assert other["cells_by_class"]["unclassified"] == 1
    told = asks.read()["agreement"]
    assert told["cells_differing"] == [str(left_out)]
    report = asks.report(asks.read()["signatures"][0]).json()
    assert [reading["machine"]["hidden"] for reading in report["readings"]] == [False, True]


def test_postgresql_draws_the_lot_as_the_policy_says(engine, made):
    with unit_of_work(engine) as connection:
        for share in (0.0, 0.3, 0.7, 1.0):
            ours = is_drawn("a seed", made.slide_id, share)
            asked = text("select is_drawn('a seed', :slide, :share)")
            assert connection.scalar(asked, {"slide": made.slide_id, "share": share}) is ours


def test_pages_of_a_worklist_hold_each_slide_once(client, made, rule, factory):
    rule(DRAWN)
    for _ in range(3):
        factory.slide(priority="stat")
    address, found = "/api/v1/slides?order=worklist&limit=2", []
    while address:
        page = client.get(address).json()
        found += [one["slide_id"] for one in page["items"]]
        following = page["next"]
        address = following and f"/api/v1/slides?order=worklist&limit=2&cursor={following}"
    assert len(found) == len(set(found)) == 5
