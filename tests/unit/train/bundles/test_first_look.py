"""The least probability that is enough hides no blast and loses next to nothing."""

from dataclasses import replace

import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_train.bundles.first_look import Served, Tried, chosen
from parts.bundles import FIRST_LOOK

_WHOLE = Served(asked_all=1.0, accuracy=0.80, calibration_error=0.05, blast_error=0.10)


def _tried(first=FIRST_LOOK, blasts_lost=0, **changes):
    elsewhere = replace(_WHOLE, blast_error=None)
    served = {"home": replace(_WHOLE, **changes), "elsewhere": elsewhere}
    return Tried(first, 0.4, 0.5, 3, blasts_lost, served)


_ALL_ASKED = _tried(first=None)


def test_the_lowest_that_loses_nothing_is_chosen():
    good, later = _tried(accuracy=0.796), _tried()
    assert chosen([_ALL_ASKED, _tried(accuracy=0.79), good, later]) is good


@pytest.mark.parametrize(
    "loss",
    [
        {"accuracy": 0.794},
        {"blast_error": 0.106},
        {"calibration_error": 0.07},
        {"blasts_lost": 1},
    ],
)
def test_one_that_loses_something_is_not_chosen(loss):
    assert chosen([_ALL_ASKED, _tried(**loss)]) is None


def test_a_small_set_s_calibration_may_move_where_others_make_up_for_it():
    one = _tried(calibration_error=0.055)
    assert chosen([_ALL_ASKED, one]) is one
