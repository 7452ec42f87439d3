"""An unsure cell is told for what it more likely is than not, as finely as both questions agree."""

import pytest

from hemaline_cloud.perhaps import perhaps

UNSURE = "unclassified"
IMMATURE, PRO, MYELO = "immature-granulocyte", "promyelocyte", "myelocyte"


def said(coarse: dict[str, float], fine: dict[str, float]):
    return {
        "cell-class": {"resnet34": {"blast": 1.0}, "average": coarse},
        "apl": {"average": {"APL": 0.99, "AML-nonAPL": 0.01}},
        "cell-fine": {"average": fine},
    }


@pytest.mark.parametrize(
    ("label", "coarse", "fine", "told"),
    [
        (UNSURE, {IMMATURE: 0.7, "blast": 0.3}, {PRO: 0.55, "blast": 0.45}, (PRO, 0.55)),
        # Which stage is open, the coarser class is not.
        (UNSURE, {IMMATURE: 0.7, "blast": 0.3}, {PRO: 0.4, MYELO: 0.35}, (IMMATURE, 0.7)),
        # Both questions must agree.
        (UNSURE, {IMMATURE: 0.4, "blast": 0.45}, {PRO: 0.55, "blast": 0.45}, None),
        (UNSURE, {IMMATURE: 0.4, "blast": 0.6}, {PRO: 0.55, "blast": 0.45}, ("blast", 0.6)),
        (UNSURE, {IMMATURE: 0.4, "blast": 0.45}, {PRO: 0.3, "blast": 0.45}, None),
        # What the naming question has no word for.
        (UNSURE, {"lymphocyte": 0.4, "blast": 0.3}, {"plasma-cell": 0.6}, ("plasma-cell", 0.6)),
        # A sure class, told more exactly; never another class.
        (IMMATURE, {IMMATURE: 0.9, "blast": 0.1}, {PRO: 0.6, "blast": 0.4}, (PRO, 0.6)),
        (IMMATURE, {IMMATURE: 0.9, "blast": 0.1}, {PRO: 0.4, "blast": 0.3}, None),
        ("neutrophil", {"neutrophil": 0.9, IMMATURE: 0.1}, {MYELO: 0.6}, None),
        ("monocyte", {"monocyte": 0.9, "blast": 0.1}, {"monocyte": 0.9, "blast": 0.1}, None),
    ],
)
def test_what_a_cell_perhaps_is(label, coarse, fine, told):
    assert perhaps(label, "cell-class", said(coarse, fine)) == told


def test_nothing_is_told_where_the_model_said_nothing():
    assert perhaps(None, "", None) is None
    assert perhaps(UNSURE, "cell-class", None) is None
    assert perhaps(UNSURE, "cell-class", {"cell-fine": {"average": {PRO: 0.9}}}) is None


def test_a_bundle_without_a_finer_question_tells_the_class_it_is_not_sure_of():
    answers = {"cell-class": {"average": {"blast": 0.6, "lymphocyte": 0.4}}}
    assert perhaps(UNSURE, "cell-class", answers) == ("blast", 0.6)
