"""One rule holds the blasts against the thresholds: verdict, flag, urgency and text agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaline_cloud.blasts import blast_flags, blast_urgency, not_enough_cells, thresholds
from hemaline_cloud.database.summary import BlastShare


def _blasts(low, high, *, cells=20, named=200, fraction=None):
    middle = (low + high) / 2 if fraction is None else fraction
    return BlastShare(
        cells=cells,
        leukocytes=named,
        unclassified=0,
        fraction=middle,
        low=low,
        high=high,
        provisional=named < 100,
        thresholds=thresholds(low, high),
    )


def _codes(blasts):
    return [flag.code for flag in blast_flags(blasts)]


@pytest.mark.parametrize(
    ("low", "high", "who", "icc", "code", "urgency"),
    [
        (0.00, 0.05, "below", "below", None, 1),
        (0.05, 0.12, "below", "undecided", "blasts-near-icc-threshold", 1),
        (0.10, 0.19, "below", "above", "blasts-over-icc-threshold", 2),
        (0.12, 0.20, "undecided", "above", "blasts-near-who-threshold", 2),
        (0.05, 0.45, "undecided", "undecided", "blasts-near-who-threshold", 2),
        (0.20, 0.30, "above", "above", "blasts-over-who-threshold", 3),
    ],
)
def test_where_the_whole_interval_lies_decides(low, high, who, icc, code, urgency):
    blasts = _blasts(low, high)
    verdicts = {one.name: one.verdict for one in blasts.thresholds}
    assert verdicts == {"WHO 2022": who, "ICC 2022": icc}
    assert _codes(blasts) == [*([code] if code else []), "blasts-present"]
    assert blast_urgency(blasts) == urgency


def test_the_middle_of_the_interval_decides_nothing():
    """A banner by the estimate and a panel by the interval once contradicted each other."""
    estimates = [_blasts(0.12, 0.31, fraction=fraction) for fraction in (0.13, 0.25, 0.30)]
    assert {blast_urgency(one) for one in estimates} == {2}
    assert {blast_flags(one)[0].code for one in estimates} == {"blasts-near-who-threshold"}


@pytest.mark.parametrize(("named", "urgency"), [(99, 2), (100, 3)])
def test_fewer_than_100_named_cells_are_provisional(named, urgency):
    blasts = _blasts(0.4, 0.6, named=named)
    assert blast_urgency(blasts) == urgency
    text = blast_flags(blasts)[0].text
    assert ("Provisional: fewer than 100 cells have a class" in text) is (named < 100)


def test_a_first_wide_interval_is_not_yet_urgent():
    blasts = _blasts(0.05, 1.0, cells=3, named=3)
    assert _codes(blasts) == ["blasts-provisional", "blasts-present"]
    assert blast_urgency(blasts) == 1


def test_without_a_cell_that_looks_like_a_blast_nothing_is_flagged():
    for blasts in (None, _blasts(0.0, 0.3, cells=0)):
        assert blast_flags(blasts) == []
        assert blast_urgency(blasts) == 0


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 400), st.integers(0, 400))
def test_text_and_verdicts_never_contradict_each_other(one, two, cells, named):
    blasts = _blasts(min(one, two), max(one, two), cells=cells, named=named)
    told = " ".join(flag.text for flag in blast_flags(blasts))
    verdicts = {one.name: one.verdict for one in blasts.thresholds}
    assert (", over the WHO threshold" in told) is (verdicts["WHO 2022"] == "above")
    assert ("perhaps over the WHO threshold" in told) is (verdicts["WHO 2022"] == "undecided")
    assert ("Provisional" in told) <= blasts.provisional
    assert (blast_urgency(blasts) == 3) is (
        verdicts["WHO 2022"] == "above" and not blasts.provisional
    )


def test_a_number_beside_a_threshold_is_not_rounded_onto_it():
    (near, _) = blast_flags(_blasts(0.1952, 0.3))
    assert "19.5% to 30.0%" in near.text


@pytest.mark.parametrize(
    ("blasts", "more"),
    [
        # 0.06 with 0.04 to the ICC's, which the interval passes by half: 1.5^2 times the cells.
        (_blasts(0.02, 0.12, fraction=0.06), 250),
        # Both thresholds are open: the nearer one wants more cells.
        (_blasts(0.09, 0.22, fraction=0.15), 192),
        (_blasts(0.00, 0.05, named=60), 40),
        (_blasts(0.099, 0.19, fraction=0.1), None),
        (_blasts(0.05, 0.105, fraction=0.0999), None),
    ],
)
def test_about_so_many_more_cells_would_decide(blasts, more):
    wanted = not_enough_cells(blasts)
    assert (wanted.leukocytes, wanted.more) == (blasts.leukocytes, more)


def test_what_is_decided_wants_no_more_cells():
    assert not_enough_cells(_blasts(0.00, 0.05)) is None
    assert not_enough_cells(_blasts(0.20, 0.30)) is None
    assert not_enough_cells(None) is None


@given(
    fraction=st.floats(0.0, 1.0),
    reach=st.floats(0.001, 0.3),
    named=st.integers(1, 500),
)
def test_with_as_many_cells_the_interval_lies_on_one_side(fraction, reach, named):
    low, high = max(0.0, fraction - reach), min(1.0, fraction + reach)
    wanted = not_enough_cells(_blasts(low, high, fraction=fraction, named=named))
    if wanted is None or wanted.more is None:
        return
    narrower = (named / (named + wanted.more)) ** 0.5
    then = thresholds(
        fraction - (fraction - low) * narrower + 1e-5,
        fraction + (high - fraction) * narrower - 1e-5,
    )
    assert named + wanted.more >= 100
    assert "undecided" not in {held.verdict for held in then}
