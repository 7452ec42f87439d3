"""What an unsure cell perhaps is: told wherever cells are told of, and counted nowhere."""

import csv
from io import StringIO

import pytest

from factories import LABELS
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import MachineRule, ReviewPolicy

COUNTING = {"found": 3, "counted": 3, "excluded": {}, "named": 2, "unclassified": 1}


@pytest.fixture
def made(factory):
    """A slide of which one cell, a blast by a little more than half, has no class."""
    slide = factory.slide()
    factory.field(slide)
    factory.trained_result(slide, counting=COUNTING)
    factory.change_cell(next(iter(slide.labels)), label="unclassified")
    return slide


def table(client, slide):
    answer = client.get(f"/api/v1/slides/{slide.slide_id}/cells.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(StringIO(answer.text, newline="")))


def note(client, slide):
    panel = client.get(f"/fhir/R4/Observation/{slide.slide_id}.differential").json()
    return panel["note"][0]["text"]


def test_it_is_told_of_an_unsure_cell_on_the_page_in_json_csv_and_fhir(client, made):
    cell = next(iter(made.labels))
    told = client.get(f"/api/v1/cells/{cell}").json()
    assert (told["label"], told["perhaps"]["label"]) == ("unclassified", LABELS[0])
    assert told["perhaps"]["probability"] == pytest.approx(told["probability"], abs=1e-3)
    page = client.get(f"/slides/{made.slide_id}?cell={cell}").text
    assert ">Blast?</span>" in page
    assert "perhaps blast" in page
    assert [(row["model"], row["perhaps"]) for row in table(client, made)] == [
        ("unclassified", "blast"),
        (LABELS[1], ""),
        (LABELS[2], ""),
    ]
    assert "more likely than not, and not counted as: blast 1" in note(client, made).lower()


def test_it_is_counted_nowhere(client, made):
    before = client.get(f"/api/v1/slides/{made.slide_id}/result").json()["summary"]
    assert before["counting"]["unclassified"] == 1
    review = client.get(f"/api/v1/slides/{made.slide_id}/review").json()
    assert review["read_so_far"]["differential"][0]["cells"] == before["differential"][0]["cells"]


def test_it_is_hidden_with_all_that_the_machine_says(client, made, factory):
    drawn = ReviewPolicy(machine=MachineRule(order="by-lot", hidden_share=1, seed="a seed"))
    with unit_of_work(factory.engine) as connection:
        set_policy(connection, service("tests"), "north", drawn)
    assert client.get(f"/api/v1/cells/{next(iter(made.labels))}").json()["perhaps"] is None
    assert "Blast?" not in client.get(f"/slides/{made.slide_id}").text
    assert {(row["model"], row["perhaps"]) for row in table(client, made)} == {("", "")}
    assert "likely" not in note(client, made)
