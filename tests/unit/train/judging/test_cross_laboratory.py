"""One bundle on several laboratories' images, which know only some of its labels."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import CELL_CLASS
from hemaline_train.judging.cross_laboratory import (
    data_sets_of,
    judge_laboratory,
    laboratories_section,
)

BLAST, MONOCYTE, BASOPHIL = (CELL_CLASS.index(label) for label in ("blast", "monocyte", "basophil"))


def laboratory(answers, truth=("monocyte", "basophil")):
    """Judge answers given as {place of label: probability} for cells of one slide each."""
    samples = [
        Sample(
            KNOWN["bccd"], Path("a.jpg"), "val", (f"c{number}",), None, 0.1, {"cell-class": label}
        )
        for number, label in enumerate(truth)
    ]
    given = np.zeros((len(samples), len(CELL_CLASS.labels)))
    for row, answer in zip(given, answers, strict=True):
        row[list(answer)] = list(answer.values())
    return judge_laboratory(CELL_CLASS, samples, given, "all", trained_on=False, resamples=20)


def test_a_label_that_the_laboratory_lacks_is_wrong_as_served_and_not_allowed_after():
    row = laboratory([{BLAST: 0.6, MONOCYTE: 0.4}, {BASOPHIL: 0.9, BLAST: 0.1}])
    assert row.served.value == 0.5
    assert row.restricted.value == 1.0
    assert row.labels == ("monocyte", "basophil")


def test_a_cell_without_any_probability_among_the_laboratory_s_labels_is_still_answered():
    row = laboratory([{BLAST: 1.0}, {BASOPHIL: 1.0}])
    assert row.served.value == 0.5
    assert row.restricted.value is not None


def test_the_section_says_what_training_saw(tmp_path):
    text = laboratories_section("cell-class", [laboratory([{MONOCYTE: 1.0}, {BASOPHIL: 1.0}])])
    assert "| bccd | all | no | 2 | 2 | 2 | 1.000" in text


def test_only_sets_with_labels_of_the_task_are_compared(tmp_path):
    for name in ("bccd", "draaslan-bcd", "all-taleqani", "our-lab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.tsv").touch()
    assert data_sets_of("cell-class", tmp_path) == ["bccd"]
