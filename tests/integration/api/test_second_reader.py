"""Two people read a slide, the second blind to the first; where they differ, somebody decides."""

from urllib.parse import quote

import pytest
from sqlalchemy import text

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import ReviewPolicy, SecondReaderRule
from parts.people import logged_in, one_of
from parts.postgres import as_owner
from parts.reviewing import Asks
from parts.surfaces import every_answer

ADA, BOB, EVE, TOM = "Ada", "Bob", "Eve", "Tom"
TEXT = "a comment that gives it away"
SAID = ("cell_labels", "added_cells", "comments", "morphology_assessments", "audit_events")
SAYING = ("label", "comment", "assess", "add-cell", "request")
"""Where it stands what a reader says, and as what in the audit."""


@pytest.fixture
def people(database_url):
    roles = {TOM: ("technologist",)}
    return {
        name: logged_in(database_url, roles.get(name, ("haematologist",)), full_name=name)
        for name in (ADA, BOB, EVE, TOM)
    }


@pytest.fixture
def act_as(anybody, people):
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
def policy():
    return ReviewPolicy(second_reader=SecondReaderRule())


@pytest.fixture
def asks(client, factory, engine, policy):
    """The review of a slide of two fields; the site wants two readers."""
    made = factory.slide()
    factory.field(made)
    factory.field(made)
    blasts = {
        "cells": 2,
        "leukocytes": 10,
        "unclassified": 0,
        "fraction": 0.2,
        "low": 0.05,
        "high": 0.5,
        "provisional": True,
        "thresholds": [{"name": "WHO 2022", "fraction": 0.2, "verdict": "undecided"}],
    }
    factory.trained_result(made, blasts=blasts)
    factory.close_slide(made)
    with unit_of_work(engine) as connection:
        make_ready(connection, 1e-6)
        set_policy(connection, service("tests"), "north", policy)
    return Asks(client, made)


@pytest.fixture
def cells(asks):
    return list(asks.slide.labels)


@pytest.fixture
def awaiting(asks, act_as):
    """Ada has read it."""

    def read_first(**labels):
        for cell, label in labels.items():
            asks.label(cell, label)
        asks.see_all()
        finished = asks.finish()
        assert finished.status_code == 200, finished.text
        assert finished.json()["state"] == "awaiting-second-reader"

    return read_first


def read_second(asks, act_as, **labels):
    act_as(BOB)
    assert asks.step("begin-review").json()["your_part"] == "second-reader"
    for cell, label in labels.items():
        asks.label(cell, label)
    asks.see_all()
    return asks.finish()


def test_one_person_does_not_sign_what_the_policy_wants_two_for(asks):
    assert asks.read()["second_reader_wanted"] == ["blasts", "undecided"]
    asks.see_all()
    refused = asks.sign()
    assert (refused.status_code, refused.json()["reason"]) == (409, "second-reader-wanted")
    assert refused.json()["detail"] == (
        "Not signed: blasts are counted and the count leaves a threshold open. Finish your "
        "reading, and another person reads it."
    )
    assert asks.read()["signatures"] == []


def test_a_first_reading_wants_all_seen_as_a_signature_does(asks):
    refused = asks.finish()
    assert (refused.status_code, refused.json()["reason"]) == (409, "not-all-seen")


@pytest.mark.parametrize("policy", [ReviewPolicy()])
def test_a_colleague_is_asked_by_a_reason_that_they_read_once_both_have_finished(
    asks, act_as, client
):
    assert asks.read()["second_reader_wanted"] == []
    asks.see_all()
    refused = asks.finish()
    assert (refused.status_code, refused.json()["reason"]) == (409, "reason-wanted")
    asked = asks.finish(reason="Auer rods?")
    assert asked.json()["state"] == "awaiting-second-reader", asked.text
    act_as(BOB)
    address = f"/slides/{asks.slide.slide_id}"
    everywhere = [f"/api/v1{address}/comments", address, f"{address}/timeline"]
    assert not any("Auer rods" in client.get(one).text for one in everywhere)
    assert read_second(asks, act_as).json()["state"] == "signed"
    assert "Asked a colleague: Auer rods?" in client.get(everywhere[0]).text


def test_where_both_agree_it_is_signed_as_the_first_reader_said(asks, awaiting, act_as, cells):
    awaiting(**{str(cells[1]): "basophil"})
    done = read_second(asks, act_as, **{str(cells[1]): "eosinophil"}).json()
    assert done["state"] == asks.read()["state"] == "signed"
    report = asks.report(done["signature"]).json()
    assert report["signed_by_name"] == "Ada"
    assert [label["label"] for label in report["labels"]] == ["basophil"]
    one, other = report["readings"]
    assert (one["reader_name"], other["reader_name"]) == ("Ada", "Bob")
    assert other["cells_by_reader"]["eosinophil"] == one["cells_by_reader"]["eosinophil"] + 1
    assert report["agreement"]["cells_differing"] == [str(cells[1])]
    assert report["agreement"]["kappa"]["basophil"] == 0
    assert report["agreement"]["kappa"]["blast"] == 1
    assert [reading["labels"] for reading in asks.readings()["readings"]] == [
        {str(cells[1]): "basophil"},
        {str(cells[1]): "eosinophil"},
    ]
    held = asks._client.get(f"/api/v1/cells/{cells[1]}").json()
    assert held["reviewed"]["label"] == "basophil"


def test_where_they_differ_about_a_blast_somebody_adjudicates(asks, awaiting, act_as, cells):
    awaiting(**{str(cells[1]): "blast"})
    done = read_second(asks, act_as).json()
    assert (done["state"], done["signature"]) == ("in-review", None)
    told = asks.read()
    assert told["second_reader_wanted"] == []
    assert told["agreement"]["blasts_differing"] == [str(cells[1])]
    act_as(EVE)
    assert asks._client.get(f"/api/v1/cells/{cells[1]}").json()["reviewed"]["label"] == "blast"
    asks.label(cells[1], "neutrophil", 1)
    asks.see_all()
    report = asks.report(asks.sign().json()).json()
    assert report["signed_by_name"] == "Eve"
    assert report["agreement"]["blasts_differing"] == [str(cells[1])]
    assert [reading["reader_name"] for reading in report["readings"]] == ["Ada", "Bob"]
    assert report["labels"][0]["by_name"] == "Eve"


def test_readings_of_different_revisions_do_not_agree(asks, awaiting, act_as, factory):
    awaiting()
    factory.newer_result(asks.slide, cells=10)
    act_as(BOB)
    asks.step("begin-review")
    wanted = [cell["cell_id"] for cell in asks.read()["to_see"]]
    asks.see(wanted, asks.slide.fields[:1], revision=2)
    assert asks.finish().json()["reason"] == "other-revision"
    assert asks.finish(revision=2).json()["state"] == "in-review"
    assert asks.read()["agreement"]["same_revision"] is False


def test_whoever_had_a_part_in_the_first_reading_is_not_the_second_reader(
    asks, awaiting, act_as, cells, client
):
    act_as(BOB)
    asks.label(cells[1], "basophil")
    act_as(EVE)
    client.post(f"/api/v1/cells/{cells[2]}/comments", json={"text": "odd"})
    act_as(ADA)
    awaiting()
    for name in (ADA, BOB, EVE):
        act_as(name)
        refused = asks.step("begin-review")
        assert (refused.status_code, refused.json()["reason"]) == (409, "not-blind")


def test_only_the_second_reader_says_something_of_a_slide_that_awaits_them(
    asks, awaiting, act_as, cells
):
    awaiting()
    refused = asks.try_to_label(cells[0], "basophil")
    assert (refused.status_code, refused.json()["reason"]) == (409, "not-the-reader")
    assert "nobody has begun to read it" in refused.json()["detail"]
    act_as(BOB)
    asks.step("begin-review")
    act_as(EVE)
    for refused in (
        asks.try_to_label(cells[0], "basophil"),
        asks.finish(),
        asks.step("begin-review"),
        asks.step("leave-review"),
    ):
        assert (refused.status_code, refused.json()["reason"]) == (409, "not-the-reader")
        assert "Bob reads it" in refused.json()["detail"]
    act_as(TOM)
    assert asks.step("begin-review", 0).status_code == 403


def test_a_second_reader_who_leaves_takes_what_they_said_with_them(asks, awaiting, act_as, cells):
    awaiting()
    act_as(BOB)
    asks.step("begin-review")
    asks.label(cells[1], "basophil")
    assert asks.step("leave-review").json()["second_reader_name"] is None
    act_as(EVE)
    assert asks.step("begin-review").json()["second_reader_name"] == "Eve"
    asks.label(cells[1], "eosinophil")
    asks.see_all()
    assert asks.finish().json()["state"] == "signed"
    assert len(asks.readings()["readings"]) == 2


def test_a_second_reader_takes_back_their_own_act_alone(asks, awaiting, act_as, cells, client):
    awaiting(**{str(cells[1]): "basophil"})
    act_as(BOB)
    asks.step("begin-review")
    undo = client.delete(f"/api/v1/cells/{cells[1]}/label", headers={"If-Match": '"v0"'})
    assert undo.json()["reason"] == "nothing-to-undo"
    asks.label(cells[1], "eosinophil")
    undo = client.delete(f"/api/v1/cells/{cells[1]}/label", headers={"If-Match": '"v1"'})
    assert undo.json()["labels"][0]["label"] is None


@pytest.mark.parametrize("opened", [False, True])
def test_it_is_kept_whether_the_second_reader_had_seen_the_first_ones_labels(
    asks, awaiting, act_as, cells, client, opened
):
    asks.label(cells[1], "basophil")
    act_as(BOB)
    if opened:
        client.get(f"/slides/{asks.slide.slide_id}")
    act_as(ADA)
    awaiting()
    read_second(asks, act_as)
    assert [reading["looked_before"] for reading in asks.readings()["readings"]] == [False, opened]


def test_a_third_reading_is_refused(asks, awaiting, act_as, cells):
    awaiting(**{str(cells[1]): "blast"})
    read_second(asks, act_as)
    refused = asks.finish()
    assert refused.json()["reason"] == "not-now"
    assert refused.json()["detail"] == "Two people have read this slide: sign it."


def test_nobody_amends_alone_what_they_signed_where_two_are_wanted(asks, awaiting, act_as):
    awaiting()
    read_second(asks, act_as)
    act_as(ADA)
    refused = asks.sign(reason="a slip")
    assert refused.json()["reason"] == "second-reader-wanted"
    assert "another person must amend it." in refused.json()["detail"]
    act_as(EVE)
    asks.see_all()
    amended = asks.sign(reason="a slip").json()
    assert amended["signed_by_name"] == "Eve"


def test_a_log_in_that_is_not_of_this_moment_ends_no_reading(asks, engine):
    asks.see_all()
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "update sessions set authenticated_at = now() - interval '1 hour'"
        )
    assert asks.finish().json()["reason"] == "log-in-again"


@pytest.mark.parametrize("begun", [False, True])
def test_no_answer_changes_when_all_that_the_first_reader_said_is_gone(
    asks, awaiting, act_as, cells, client, database_url, factory, begun
):
    """The second reader, and whoever could be it, gets the same bytes with and without it."""
    factory.order(asks.slide, "24-00017")
    asks.label(cells[0], "basophil")
    asks.label(cells[5], "basophil")
    for what in (f"slides/{asks.slide.slide_id}", f"cells/{cells[0]}"):
        client.post(f"/api/v1/{what}/comments", json={"text": TEXT})
    client.post(
        f"/api/v1/fields/{asks.slide.fields[0]}/added-cells",
        json={"x": 70, "y": 70, "label": "monocyte"},
    ).raise_for_status()
    client.put(
        f"/api/v1/slides/{asks.slide.slide_id}/morphology",
        json={"red_cells": {"schistocytes": 3}},
        headers={"If-Match": '"v0"'},
    ).raise_for_status()
    asked = {"reason": "few-cells", "cells": 60}
    client.post(f"/api/v1/slides/{asks.slide.slide_id}/requests", json=asked).raise_for_status()
    awaiting()
    act_as(BOB)
    if begun:
        asks.step("begin-review")
    before = every_answer(client, asks.slide, cells[0])
    assert len(before) > 30
    forget_all(database_url)
    after = every_answer(client, asks.slide, cells[0])
    for address, answer in before.items():
        assert after[address] == answer, address
        assert quote(TEXT) not in answer
        assert TEXT not in answer
    act_as(ADA)
    assert asks._client.get(f"/api/v1/cells/{cells[0]}").json()["reviewed"] is None


def forget_all(database_url):
    """Remove what people said, and what the audit keeps of it, as nobody can in service."""
    engine = make_engine(as_owner(database_url), principal=service("tests"))
    with unit_of_work(engine) as connection:
        for table in SAID:
            said = f" where action in {SAYING}" if table == "audit_events" else ""
            for statement in (
                f"alter table {table} disable row level security",
                f"alter table {table} disable trigger append_only",
                f"delete from {table}{said}",
                f"alter table {table} enable trigger append_only",
                f"alter table {table} enable row level security",
            ):
                connection.execute(text(statement))
        connection.execute(text("alter table device_commands disable row level security"))
        connection.execute(text("delete from device_commands"))
        connection.execute(text("alter table device_commands enable row level security"))
    engine.dispose()


def test_each_reading_is_on_record(asks, awaiting, act_as, engine):
    awaiting()
    read_second(asks, act_as)
    with unit_of_work(engine) as connection:
        rows = connection.exec_driver_sql(
            "select actor_name, action, detail from audit_events where subject = 'reading'"
            " order by event_id"
        ).all()
    assert [tuple(row)[:2] for row in rows] == [
        ("Ada", "finish-reading"),
        ("Bob", "finish-reading"),
    ]
    assert rows[1].detail.startswith("reading 2, revision 1, report ")
