"""What is said of a network's answers: per label, per patient, and blasts against lymphocytes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import ALL_SUBTYPE, CELL_CLASS, Task
from hemaline_train.judging.judge import AT_95, judge, judge_blast_shares, judge_labels

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
    found = judge_blast_shares(TINY, samples(TINY, truth, patients), sure(TINY, given), 20)
    assert found["mean_absolute_error"].value == 0.5
    assert found["mean_error"].value == 0.0


def test_a_patient_without_counted_cells_is_left_out():
    truth, given = ["smudge", "blast"], ["blast", "blast"]
    found = judge_blast_shares(TINY, samples(TINY, truth, ["P1", "P2"]), sure(TINY, given), 0)
    assert found["mean_absolute_error"].value == 0.0


def test_a_task_without_blasts_has_no_blast_shares():
    fields = samples(ALL_SUBTYPE, ["benign"], ["c1"])
    assert judge_blast_shares(ALL_SUBTYPE, fields, sure(ALL_SUBTYPE, ["benign"])) == {}


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
