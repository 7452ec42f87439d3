"""What speaks against an adapted bundle."""

import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")

from hemaline_shared.errors import PermanentError
from hemaline_train.adaptation.verdict import Kept, Verdict, refuse
from hemaline_train.judging.metrics import Interval

BETTER = Interval(0.2, 0.1, 0.3)
KEPT = {"basophil": Kept(40, 0.95, 0.40)}


def reason(gain, loss=None, kept=KEPT, *, unproven=False):
    try:
        refuse("shipped-1", Verdict(gain, loss, kept, ()), unproven=unproven)
    except PermanentError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        (BETTER, None),
        (Interval(0.2, -0.01, 0.4), "unproven"),
        (Interval(0.0, 0.0, 0.0), "unproven"),
        (Interval(0.2, None, None), "unproven"),
        (Interval(-0.01, -0.2, 0.2), "worse"),
        (Interval(None, None, None), "worse"),
    ],
)
def test_only_a_gain_whose_interval_lies_above_0_is_served(gain, expected):
    assert reason(gain) == expected


def test_a_gain_that_may_be_chance_can_be_wished_for_and_a_loss_cannot():
    assert reason(Interval(0.2, -0.01, 0.4), unproven=True) is None
    assert reason(Interval(-0.01, -0.2, 0.2), unproven=True) == "worse"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (None, None),
        (Interval(-0.1, -0.3, 0.02), None),
        (Interval(-0.5, -0.6, -0.4), "forgotten"),
        (Interval(-0.5, None, None), "forgotten"),
        (Interval(0.1, None, None), None),
    ],
)
def test_classes_of_elsewhere_must_not_surely_be_lost(loss, expected):
    assert reason(BETTER, loss) == expected


def test_what_would_be_missed_is_named():
    with pytest.raises(PermanentError, match=r"basophil 0.95 to 0.40"):
        refuse("shipped-1", Verdict(BETTER, Interval(-0.5, -0.6, -0.4), KEPT, ()), unproven=True)
