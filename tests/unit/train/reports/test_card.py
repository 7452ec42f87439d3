"""The model card: each part that a reader must find, and what is said where nothing is known."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_shared.model_manifest import Manifest
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task
from hemaline_train.judging.cross_laboratory import Laboratory, judge_laboratory
from hemaline_train.judging.metrics import Interval
from hemaline_train.judging.task_evaluation import AVERAGE, evaluate_task
from hemaline_train.reports.card import CardFacts, render_card
from hemaline_train.reports.short_section import short_section

TINY = Task("cell-class", "cell", ("blast", "lymphocyte"))
RUN = {
    "config": {
        "name": "tiny",
        "architecture": "resnet34",
        "epochs": 3,
        "tasks": {"cell-class": 1.0},
        "data_sets": {"aml-deepapl": 1.0, "our-lab": 0.5},
    },
    "parity": {"crops": 64, "largest_difference": 2e-5, "same_answers": 64},
    "activations": "uint8",
    "int8": {
        "cell-class": {
            "float32_balanced_accuracy": 0.781,
            "int8_balanced_accuracy": 0.779,
            "same_answers": 0.993,
        }
    },
}


def manifest(**changes):
    return Manifest.model_validate(
        {
            "bundle_id": "tiny-1",
            "trained": True,
            "tasks": [
                {
                    "name": "cell-class",
                    "labels": TINY.labels,
                    "operating_points": {"blast": 0.61, "lymphocyte": 0.5},
                }
            ],
            "networks": [
                {
                    "name": "resnet34",
                    "file": "resnet34.onnx",
                    "sha256": "0" * 64,
                    "calibration": {"cell-class": {"temperature": 1.37, "weight": 1.0}},
                }
            ],
            "pixel_pipeline": "1",
            "provenance": {"runs": [RUN]},
        }
        | changes
    )


@pytest.fixture(scope="module")
def card():
    samples = [
        Sample(
            KNOWN["aml-deepapl"], Path("a.jpg"), "val", (f"P{number // 4}",), None, 0.1,
            {"cell-class": TINY.labels[number % 2]},
        )
        for number in range(16)
    ]  # fmt: skip
    given = np.random.default_rng(0).dirichlet([1, 1], 16)
    answers = {AVERAGE: given, "resnet34": given}
    row = judge_laboratory(TINY, samples, given, "val", trained_on=True, resamples=10)
    facts = CardFacts(
        [evaluate_task("tiny-1", TINY, samples, answers, "val", 10)],
        {"cell-class": [row]},
        {"Reliability": "tiny-1/reliability.png"},
        machine="a drawing board, 2 minutes",
        remarks=("Balanced accuracy missed its aim of 0.78 by 0.28.",),
        commands=("hemaline-train evaluate models/tiny-1 data/aml-deepapl",),
    )
    return render_card(manifest(), facts)


def test_the_card_says_first_that_it_is_for_research_only(card):
    assert card.splitlines()[0] == "# Model card: tiny-1"
    assert card.splitlines()[2] == "> For Research Use Only. Not for use in diagnostic procedures."


def test_the_card_names_the_labels_with_their_operating_points(card):
    assert "blast 0.61, lymphocyte 0.50" in card


def test_the_card_names_each_data_set_s_licence_and_traps(card):
    known = KNOWN["aml-deepapl"]
    assert known.licence in card
    assert known.traps in card
    assert "a laboratory's own: our-lab" in card


def test_the_card_shows_figures_with_intervals_and_the_laboratories(card):
    assert "### cell-class on aml-deepapl, split val" in card
    assert "| balanced accuracy |" in card
    assert "### cell-class, laboratory by laboratory" in card
    assert "| blast | 8 |" in card


def test_the_card_begins_with_what_is_served_and_says_what_changes(card):
    section = card.partition("## In short")[2].partition("\n## ")[0]
    assert "| patient | aml-deepapl, val | 16 | 4 |" in section
    assert "A laboratory that taught none of the networks did not judge this bundle" in section


def test_a_laboratory_that_taught_nothing_is_a_row_of_its_own():
    figure = Interval(0.5, 0.4, 0.6)
    row = Laboratory("bccd", "all", False, 270, 10, TINY.labels, figure, figure, figure, figure)
    section = "\n".join(short_section("cell-class", (), {"cell-class": [row]}))
    assert "| laboratory | bccd, all | 270 | 10 | 0.500 (0.400 to 0.600) |" in section
    assert "taught none of the networks" not in section


def test_the_card_tells_calibration_and_what_chance_alone_would_show(card):
    section = card.partition("## Calibration")[2].partition("\n## ")[0]
    assert "by chance alone" in section
    assert "cell-class temperature 1.37, weight 1.00" in section
    assert "![Reliability](tiny-1/reliability.png)" in section


def test_the_card_tells_what_eight_bits_cost(card):
    assert "| resnet34 | uint8 | cell-class | 0.781 | 0.779 | 0.993 |" in card
    assert "that are wanted" not in card


def test_the_card_names_what_eight_bits_cost_too_much():
    dear = RUN["int8"]["cell-class"] | {"int8_balanced_accuracy": 0.7749}
    run = RUN | {"int8": {"cell-class": dear}}
    card = render_card(manifest(provenance={"runs": [run]}), CardFacts([], {}, {}))
    assert "resnet34 loses 0.61 points in cell-class: more than the 0.5 that are wanted." in card


def test_the_card_tells_what_was_missed_how_it_was_trained_and_how_to_repeat_it(card):
    assert "- Balanced accuracy missed its aim" in card
    assert "a drawing board" in card
    assert "| epochs | 3 |" in card
    assert "hemaline-train evaluate models/tiny-1" in card


def test_what_was_not_measured_is_said_and_not_left_out():
    card = render_card(
        manifest(provenance={"runs": [{key: RUN[key] for key in ("config", "parity")}]}),
        CardFacts([], {}, {}),
    )
    assert "None were measured." in card
    assert "Not tried on any other laboratory's images." in card
    assert "The weights are float32." in card
    assert "Machine: not recorded." in card
