"""People grade red cells and platelets; what nobody graded is said to be so."""

import pytest

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import ReviewPolicy, SecondReaderRule
from parts.people import logged_in, one_of
from parts.reviewing import Asks

ADA, BOB, OPERATOR = "Ada", "Bob", "Op"
_ROLES = {ADA: "haematologist", BOB: "haematologist", OPERATOR: "operator"}
GRADED = {"red_cells": {"schistocytes": 1}, "platelets": {"giant-platelets": 2}}


@pytest.fixture
def act_as(anybody, database_url):
    people = {
        name: logged_in(database_url, (role,), full_name=name) for name, role in _ROLES.items()
    }
    return one_of(anybody, people)


@pytest.fixture
def client(anybody, act_as):
    return anybody


@pytest.fixture
def slide(factory, database_url):
    made = factory.slide()
    factory.field(made)
    factory.trained_result(made)
    factory.close_slide(made)
    engine = make_engine(database_url, principal=service("tests"))
    with unit_of_work(engine) as connection:
        make_ready(connection, 1e-6)
    engine.dispose()
    return made


@pytest.fixture
def asks(client, slide):
    return Asks(client, slide)


def assess(client, slide, said, version=0):
    return client.put(
        f"/api/v1/slides/{slide.slide_id}/morphology",
        json=said,
        headers={"If-Match": f'"v{version}"'},
    )


def read(client, slide):
    answer = client.get(f"/api/v1/slides/{slide.slide_id}/morphology")
    assert answer.headers["etag"] == f'"v{answer.json()["version"]}"'
    return answer.json()


def test_what_nobody_graded_is_not_assessed_and_what_was_is_said_with_whom(client, slide):
    assert read(client, slide) == {
        "version": 0,
        "red_cells": {},
        "platelets": {},
        "platelet_estimate": None,
        "by_name": None,
        "at": None,
    }
    assert assess(client, slide, GRADED).status_code == 200
    told = read(client, slide)
    assert (told["version"], told["by_name"]) == (1, "Ada")
    assert {name: told[name] for name in GRADED} == GRADED


def test_the_second_of_two_is_told_who_graded_meanwhile(client, slide, act_as):
    assess(client, slide, GRADED)
    act_as(BOB)
    refused = assess(client, slide, {"platelet_estimate": "normal"})
    assert (refused.status_code, refused.json()["reason"]) == (412, "assessed-meanwhile")
    assert "Ada graded it at" in refused.json()["detail"]
    assert refused.json()["errors"][0]["etag"] == '"v1"'
    assert read(client, slide)["platelet_estimate"] is None


@pytest.mark.parametrize(
    "said",
    [
        {"red_cells": {"schistocytes": 4}},
        {"red_cells": {"schistocytes": -1}},
        {"red_cells": {"giant-platelets": 1}},
        {"platelet_estimate": "few"},
        {"white_cells": {}},
    ],
)
def test_what_is_no_grade_is_refused(client, slide, said):
    assert assess(client, slide, said).status_code == 422
    assert read(client, slide)["version"] == 0


def test_an_operator_grades_nothing(client, slide, act_as):
    act_as(OPERATOR)
    assert assess(client, slide, GRADED).status_code == 403


def test_the_signed_report_holds_it_and_a_change_afterwards_marks_the_slide(client, slide, asks):
    assess(client, slide, GRADED)
    asks.see_all()
    signature = asks.sign().json()
    report = asks.report(signature)
    assert report.json()["morphology"] == {**GRADED, "platelet_estimate": None}
    assert not asks.read()["changed_since_signing"]
    assess(client, slide, {}, 1)
    assert asks.read()["changed_since_signing"]
    assert asks.report(signature).content == report.content


def test_a_slide_that_awaits_its_second_reader_is_not_graded_nor_are_its_grades_shown(
    client, slide, asks, act_as, database_url
):
    engine = make_engine(database_url, principal=service("tests"))
    with unit_of_work(engine) as connection:
        set_policy(
            connection, service("tests"), "north", ReviewPolicy(second_reader=SecondReaderRule())
        )
    engine.dispose()
    asks.label(next(iter(slide.labels)), "blast")
    assess(client, slide, GRADED)
    asks.see_all()
    assert asks.finish(reason="as agreed").status_code == 200
    act_as(BOB)
    assert read(client, slide)["version"] == 0
    refused = assess(client, slide, GRADED)
    assert (refused.status_code, refused.json()["reason"]) == (409, "not-now")
    act_as(ADA)
    assert read(client, slide)["version"] == 1
