"""What is said of a network's answers: per label, per patient, and blasts against lymphocytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import ALL_SUBTYPE, APL, CELL_CLASS, Task
from hemaline_train.judging.blasts import BLAST_TASK, judge_blast_shares
from hemaline_train.judging.judge import judge, judge_labels, judged_count
from hemaline_train.judging.metrics import AT_95
from hemaline_train.judging.served import judge_served
from hemaline_train.judging.subjects import truth_of

TINY = Task("tiny", "cell", ("blast", "lymphocyte", "smudge"))


def samples(task, labels, patients):
    return [
        Sample(
            KNOWN["aml-deepapl"], Path("a.jpg"), "val", (patient,), None, 0.1, {task.name: label}
        )
        for label, patient in zip(labels, patients, strict=True)
    ]


def sure(task, labels):
    """Return answers of 0.9 for these labels."""
    rest = 0.1 / (len(task.labels) - 1)
    answers = np.full((len(labels), len(task.labels)), rest)
    answers[np.arange(len(labels)), [task.index(label) for label in labels]] = 0.9
    return answers


def places(task, labels):
    return np.array([task.index(label) for label in labels])


def test_each_label_has_its_recall_and_an_interval():
    truth = ["blast", "blast", "lymphocyte", "lymphocyte"] * 5
    given = ["blast", "lymphocyte", "lymphocyte", "lymphocyte"] * 5
    patients = [f"P{number // 4}" for number in range(20)]
    figures = judge_labels(TINY, samples(TINY, truth, patients), sure(TINY, given), 50)
    assert figures["blast"]["recall"].value == 0.5
    assert figures["lymphocyte"]["recall"].value == 1.0
    assert figures["blast"]["recall"].low is not None
    assert 0.5 < figures["blast"]["auroc"].value < 1
    assert figures["blast"][AT_95].value is not None


def test_a_label_that_does_not_occur_has_no_figures():
    figures = judge_labels(TINY, samples(TINY, ["blast"], ["P1"]), sure(TINY, ["blast"]), 10)
    assert all(one.value is None for one in figures["smudge"].values())


def test_a_patient_s_blast_share_leaves_out_smudges():
    truth = ["blast", "lymphocyte", "smudge", "smudge", "blast", "blast"]
    given = ["blast", "blast", "smudge", "smudge", "lymphocyte", "blast"]
    patients = ["P1"] * 4 + ["P2"] * 2
    found = judge_blast_shares(TINY, samples(TINY, truth, patients), places(TINY, given), 20)
    assert found["mean_absolute_error"].value == 0.5
    assert found["mean_error"].value == 0.0


def test_a_patient_without_counted_cells_is_left_out():
    truth, given = ["smudge", "blast"], ["blast", "blast"]
    found = judge_blast_shares(TINY, samples(TINY, truth, ["P1", "P2"]), places(TINY, given), 0)
    assert found["mean_absolute_error"].value == 0.0


def test_a_task_without_blasts_has_no_blast_shares():
    fields = samples(ALL_SUBTYPE, ["benign"], ["c1"])
    assert judge_blast_shares(ALL_SUBTYPE, fields, places(ALL_SUBTYPE, ["benign"])) == {}


def test_data_sets_are_judged_apart():
    cells = samples(CELL_CLASS, ["blast", "lymphocyte"], ["P1", "P2"])
    other = Sample(
        KNOWN["bccd"], Path("b.jpg"), "val", ("c1",), None, 0.1, {"cell-class": "monocyte"}
    )
    answers = {"cell-class": sure(CELL_CLASS, ["blast", "lymphocyte", "blast"])}
    report = judge([*cells, other], [CELL_CLASS], answers, 0)
    assert report["cell-class@aml-deepapl"]["balanced_accuracy"].value == 1.0
    assert report["cell-class@bccd"]["balanced_accuracy"].value == 0.0
    assert report["cell-class@aml-deepapl"]["calibration_error_by_chance"].value > 0


def test_a_label_that_the_task_lacks_is_not_counted_as_another():
    with pytest.raises(AssertionError, match="lacks a label"):
        truth_of(TINY, samples(TINY, ["monocyte"], ["P1"]))


def test_blasts_of_two_laboratories_are_judged_apart():
    cells = [
        Sample(
            KNOWN[home], Path("a.jpg"), "val", (home,), None, 0.1,
            {"cell-fine": label, "cell-class": label},
        )
        for home in ("aml-deepapl", "aml-lmu")
        for label in ("blast", "lymphocyte")
    ]  # fmt: skip
    right, wrong = ["blast", "lymphocyte"], ["lymphocyte", "blast"]
    report = judge(cells, [], {"cell-class": sure(CELL_CLASS, right + wrong)}, 0)
    assert report["blast-vs-lymphocyte@aml-deepapl"]["auroc"].value == 1.0
    assert report["blast-vs-lymphocyte@aml-lmu"]["auroc"].value == 0.0


def test_a_figure_is_told_with_what_it_counts():
    cells = samples(CELL_CLASS, ["blast", "lymphocyte", "smudge"], ["P1", "P2", "P2"])
    assert judged_count("cell-class", "balanced_accuracy", cells) == (3, 2)
    assert judged_count("apl", "auroc_per_group", cells) == (2, 2)
    fine = [replace(one, labels={"cell-fine": one.labels["cell-class"]}) for one in cells]
    assert judged_count(BLAST_TASK, "auroc", fine[1:]) == (1, 1)


def test_what_is_served_leaves_out_what_is_too_unsure():
    truth = ["blast", "lymphocyte", "blast", "lymphocyte"]
    answers = sure(TINY, ["blast", "blast", "blast", "lymphocyte"])
    answers[1] = (0.5, 0.4, 0.1)
    figures = judge_served(
        TINY, samples(TINY, truth, ["P1"] * 4), answers, (0.8, 0.8, 0.8), resamples=0
    )
    assert figures["unclassified_share"].value == 0.25
    # Of three cells that have a name two are called blasts; of all four, two are.
    assert figures["blast_share_mean_error"].value == pytest.approx(2 / 3 - 0.5)


def test_the_flag_of_apl_is_judged_by_patient():
    patients = ["P1", "P1", "P2", "P3", "P4"]
    truth = ["APL", "APL", "APL", "AML-nonAPL", "AML-nonAPL"]
    given = np.array([0.2, 0.6, 0.1, 0.5, 0.2])
    answers = np.stack([1 - given, given], axis=1)
    figures = judge_served(APL, samples(APL, truth, patients), answers, (0.6, 0.4), resamples=0)
    assert figures["flag_sensitivity_per_group"].value == 0.5
    assert figures["flag_specificity_per_group"].value == 0.5
