"""A rule says when a second person reads, and two readings agree by a rule that is written down."""

from uuid import UUID

import pytest

from hemaline_cloud.blasts import thresholds
from hemaline_cloud.database.summary import BlastShare, Flag, SlideSummary
from hemaline_cloud.review.policy import SecondReaderRule
from hemaline_cloud.review.second_reading import agreement, cohens_kappa, why_second_reader

OFF = SecondReaderRule(blasts=False, undecided=False, flags=())


def blasts(cells, low, high):
    return BlastShare(
        cells=cells,
        leukocytes=200,
        fraction=cells / 200,
        low=low,
        high=high,
        provisional=False,
        thresholds=thresholds(low, high),
    )


def summary(share, *codes):
    flags = tuple(Flag(code=code, text=code) for code in codes)
    return SlideSummary.model_construct(blasts=share, flags=flags)


def reading(*labels):
    return {UUID(int=place): label for place, label in enumerate(labels)}


def compare(first, second, one=None, other=None, *, same_revision=True):
    return agreement(first, second, (one, other), same_revision=same_revision)


@pytest.mark.parametrize(
    ("rule", "share", "codes", "reasons"),
    [
        (SecondReaderRule(), blasts(0, 0.0, 0.02), (), ()),
        (SecondReaderRule(), None, (), ()),
        (SecondReaderRule(), blasts(1, 0.0, 0.03), (), ("blasts",)),
        (SecondReaderRule(), blasts(20, 0.07, 0.15), (), ("blasts", "undecided")),
        (SecondReaderRule(), blasts(0, 0.0, 0.15), (), ("undecided",)),
        (SecondReaderRule(undecided=False), blasts(0, 0.0, 0.15), (), ()),
        (SecondReaderRule(blasts=False), blasts(100, 0.4, 0.6), (), ()),
        (SecondReaderRule(), blasts(0, 0.0, 0.02), ("apl-suspected",), ("flag",)),
        (OFF, blasts(20, 0.07, 0.25), ("apl-suspected",), ()),
        (None, blasts(20, 0.07, 0.25), ("apl-suspected",), ()),
    ],
)
def test_a_second_reader_is_wanted_for_what_the_rule_names(rule, share, codes, reasons):
    assert why_second_reader(rule, summary(share, *codes)) == reasons


def test_kappa_is_that_of_a_worked_example():
    def kappa(both, first, second, neither):
        answers = [(True, True)] * both + [(True, False)] * first
        return cohens_kappa(answers + [(False, True)] * second + [(False, False)] * neither)

    assert kappa(20, 5, 10, 15) == pytest.approx(0.4)
    assert kappa(5, 0, 0, 5) == 1
    assert kappa(0, 5, 5, 0) == -1


@pytest.mark.parametrize("answers", [[], [(True, True)] * 7, [(False, False)] * 7])
def test_one_answer_to_everything_has_no_kappa(answers):
    assert cohens_kappa(answers) is None


def test_each_class_has_its_own_kappa():
    told = compare(
        reading("blast", "blast", "monocyte", None), reading("blast", "monocyte", "monocyte", None)
    )
    assert told.kappa == {
        "blast": pytest.approx(0.5),
        "monocyte": pytest.approx(0.5),
        "unclassified": 1.0,
    }
    assert told.cells_differing == (UUID(int=1),)


def test_a_blast_that_only_one_reader_sees_is_settled_by_somebody():
    told = compare(reading("blast", "lymphocyte"), reading("lymphocyte", "lymphocyte"))
    assert told.blasts_differing == (UUID(int=0),)
    assert not told.holds


@pytest.mark.parametrize(
    ("first", "second"),
    [("blast", "promonocyte"), ("neutrophil", "eosinophil"), (None, "monocyte")],
)
def test_what_moves_no_blast_and_no_verdict_needs_nobody_else(first, second):
    assert compare(reading(first), reading(second)).holds


def test_counts_that_pass_a_threshold_differently_do_not_agree():
    told = compare(
        reading("blast"), reading("blast"), blasts(30, 0.11, 0.19), blasts(30, 0.09, 0.19)
    )
    assert told.thresholds_differing == ("ICC 2022",)
    assert not told.holds


def test_readings_of_different_revisions_do_not_agree():
    assert not compare(reading("blast"), reading("blast"), same_revision=False).holds
