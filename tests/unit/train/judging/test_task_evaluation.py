"""What an evaluation holds, and its form in JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import CELL_CLASS
from hemaline_train.judging.task_evaluation import AVERAGE, evaluate_task


@pytest.fixture(scope="module")
def evaluation():
    kinds = ("blast", "lymphocyte", "smudge")
    samples = [
        Sample(
            KNOWN["aml-deepapl"],
            Path("a.jpg"),
            "val",
            (f"P{number // 6}",),
            None,
            0.1,
            {"cell-class": kinds[number % 3], "cell-fine": kinds[number % 3]},
        )
        for number in range(24)
    ]
    given = np.random.default_rng(0).dirichlet(np.ones(len(CELL_CLASS.labels)), 24)
    answers = {AVERAGE: given, "resnet34": np.roll(given, 1, axis=0)}
    return evaluate_task("tiny-1", CELL_CLASS, samples, answers, "val", resamples=20)


def test_json_says_what_was_judged_on_how_much(evaluation):
    plain = json.loads(json.dumps(evaluation.as_json()))
    about = {name: plain[name] for name in ("task", "data_set", "split", "n", "groups")}
    assert about == {
        "task": "cell-class",
        "data_set": "aml-deepapl",
        "split": "val",
        "n": 24,
        "groups": 4,
    }


def test_each_figure_has_a_value_and_an_interval(evaluation):
    plain = evaluation.as_json()
    assert {
        "balanced_accuracy",
        "macro_auroc",
        "calibration_error",
        "blast_vs_lymphocyte_auroc",
        "blast_share_mean_absolute_error",
    } <= set(plain["metrics"])
    for one in (*plain["metrics"].values(), *plain["recalls"].values()):
        assert set(one) == {"value", "low", "high"}


def test_the_networks_stand_beside_the_average(evaluation):
    plain = evaluation.as_json()
    assert list(plain["networks"]) == ["resnet34"]
    assert set(plain["networks"]["resnet34"]) <= set(plain)
    assert plain["networks"]["resnet34"]["metrics"] != plain["metrics"]


def test_the_confusion_matrix_counts_each_sample_once_in_its_label_s_row(evaluation):
    confusion = np.array(evaluation.as_json()["confusion"])
    labels = list(CELL_CLASS.labels)
    assert confusion.sum() == 24
    assert confusion[labels.index("blast")].sum() == 8
    assert confusion[labels.index("monocyte")].sum() == 0


def test_served_figures_stand_with_the_average_only():
    samples = [
        Sample(KNOWN["aml-deepapl"], Path("a.jpg"), "val", ("P1",), None, 0.1, {"cell-class": kind})
        for kind in ("blast", "lymphocyte")
    ]
    given = np.full((2, len(CELL_CLASS.labels)), 0.1)
    answers = {AVERAGE: given, "resnet34": given}
    points = [0.5] * len(CELL_CLASS.labels)
    judged = evaluate_task("tiny-1", CELL_CLASS, samples, answers, "val", 0, points=points)
    assert judged.served.metrics["served_unclassified_share"].value == 1.0
    assert not any(name.startswith("served") for name in judged.networks["resnet34"].metrics)
