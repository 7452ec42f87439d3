"""How often a bundle errs is counted as it is served, and patients are not taken for cells."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_shared.errors import PermanentError
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import CELL_CLASS, MERGED
from hemaline_train.judging.confusion import correlation_within, measure_confusion

_POINTS = [0.5] * len(CELL_CLASS.labels)


def _sure_of(*labels, sure=0.9):
    rows = np.full((len(labels), len(CELL_CLASS.labels)), 0.0)
    for row, label in enumerate(labels):
        rows[row] = (1 - sure) / (len(CELL_CLASS.labels) - 1)
        rows[row, CELL_CLASS.index(label)] = sure
    return rows


def _cells(*labels, patient="p1", apl=None, data_set="aml-deepapl"):
    asked = {"apl": apl} if apl else {}
    return [
        Sample(
            KNOWN[data_set],
            Path("a.jpg"),
            "val",
            (patient,),
            None,
            0.1,
            {"cell-class": MERGED[label], "cell-fine": label, **asked},
        )
        for label in labels
    ]


def test_answers_below_their_operating_point_are_unclassified():
    samples = _cells("blast", "blast", "lymphocyte")
    probabilities = np.concatenate(
        [_sure_of("blast"), _sure_of("blast", sure=0.4), _sure_of("blast")]
    )
    told = measure_confusion(CELL_CLASS, samples, probabilities, _POINTS, "drawn, val")
    assert told.counts == {
        "blast": {"blast": 1, "unclassified": 1},
        "lymphocyte": {"blast": 1},
    }
    assert (told.judged_on, told.patients) == ("drawn, val", 1)


def test_promyelocytes_of_apl_are_blasts_to_the_thresholds():
    samples = [*_cells("promyelocyte", apl="APL"), *_cells("promyelocyte", apl="AML-nonAPL")]
    told = measure_confusion(CELL_CLASS, samples, _sure_of("blast", "blast"), _POINTS, "drawn")
    assert told.counts == {"blast": {"blast": 1}, "immature-granulocyte": {"blast": 1}}


def test_patients_of_two_laboratories_that_are_called_alike_are_two():
    samples = [*_cells("blast"), *_cells("eosinophil", data_set="pbc-acevedo")]
    told = measure_confusion(
        CELL_CLASS, samples, _sure_of("blast", "eosinophil"), _POINTS, "two sets, val"
    )
    assert told.counts == {"blast": {"blast": 1}, "eosinophil": {"eosinophil": 1}}
    assert told.patients == 2


def test_nothing_is_measured_without_samples():
    with pytest.raises(PermanentError) as refused:
        measure_confusion(CELL_CLASS, [], _sure_of(), _POINTS, "drawn")
    assert refused.value.reason == "no-samples"


def _drawn(correlation, patients=1000, cells=6):
    dice = np.random.default_rng(3)
    alike = 1 / correlation - 1 if correlation else None
    rates = dice.beta(0.7 * alike, 0.3 * alike, patients) if alike else np.full(patients, 0.7)
    right = dice.random((patients, cells)) < rates[:, None]
    owners = np.repeat(np.arange(patients), cells)
    return np.zeros(len(owners), int), owners, right.reshape(-1, 1).astype(float)


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.4])
def test_the_correlation_within_patients_is_found(correlation):
    found, size = correlation_within(*_drawn(correlation))
    assert found == pytest.approx(correlation, abs=0.05)
    assert size == pytest.approx(6)


def test_cells_of_one_patient_widen_by_the_design_effect():
    """Two patients who are each misread in their own way tell as much as few cells."""
    samples = [*_cells(*["blast"] * 10, patient="p1"), *_cells(*["blast"] * 10, patient="p2")]
    probabilities = _sure_of(*["blast"] * 10, *["monocyte"] * 10)
    told = measure_confusion(CELL_CLASS, samples, probabilities, _POINTS, "drawn")
    assert told.correlation == 0.9
    assert told.design_effect > 8


def test_one_patient_has_no_correlation():
    assert correlation_within(*_drawn(0.4, patients=1)) == (0.0, 1.0)
