"""The intervals hold the truth as often as they say, whatever the classifier's errors."""

import numpy as np
import pytest

from hemaline_cloud.inference.aggregate import summarise
from hemaline_cloud.inference.shares import DRAWS, interval, true_shares
from hemaline_shared.model_manifest import UNCLASSIFIED
from parts.classifiers import CELLS, roles, seldom_wrong, tally_of

_TWO = ("blast", "lymphocyte")
_BLASTS = (0.02, 0.05, 0.1, 0.2, 0.4)
# Sensitivity 0.90 and specificity 0.95 among the cells that are named; a tenth are not.
_ERRS = np.array([[0.81, 0.09, 0.1], [0.045, 0.855, 0.1]])
_NAMES_ALL = np.array([[0.9, 0.1, 0.0], [0.05, 0.95, 0.0]])
# Six classes: a monocyte is called a blast far more often than a lymphocyte is.
_ERRS_IN_SIX = np.array(
    [
        [0.80, 0.00, 0.02, 0.05, 0.00, 0.00, 0.13],
        [0.00, 0.90, 0.01, 0.01, 0.00, 0.02, 0.06],
        [0.02, 0.01, 0.88, 0.01, 0.01, 0.01, 0.06],
        [0.12, 0.02, 0.05, 0.60, 0.00, 0.05, 0.16],
        [0.00, 0.01, 0.06, 0.00, 0.80, 0.02, 0.11],
        [0.01, 0.05, 0.01, 0.01, 0.01, 0.80, 0.11],
    ]
)
_SLIDES = 200


def _covered(labels, errs, judged, shares, *, slides=_SLIDES, unreadable=0.0):
    """Draw slides of 100 to 400 cells; return how often the interval holds the truth, its width.

    Each slide is read by a classifier that was judged anew, by so many samples of each class.
    """
    dice = np.random.default_rng(1)
    truth = shares[0] / sum(s for s, n in zip(shares, labels, strict=True) if n in labels[:4])
    chances = np.asarray(shares) @ errs * (1 - unreadable)
    chances[-1] += unreadable
    held, widths = 0, []
    for _ in range(slides):
        counts = np.array([dice.multinomial(n, row) for n, row in zip(judged, errs, strict=True)])
        given = dice.multinomial(int(dice.integers(100, 401)), chances)
        bundle = roles(labels, counts)
        labelled = dict(zip((*labels, UNCLASSIFIED), given.tolist(), strict=True))
        blasts = summarise(tally_of(labelled), {"b1": bundle}, bundle).blasts
        held += blasts.low <= truth <= blasts.high
        widths.append(blasts.high - blasts.low)
    return held / slides, float(np.mean(widths))


@pytest.mark.parametrize("blasts", _BLASTS)
@pytest.mark.parametrize(
    ("errs", "judged", "widest"),
    [
        pytest.param(_NAMES_ALL, (2000, 2000), 0.20, id="names every cell"),
        pytest.param(_ERRS, (2000, 2000), 0.20, id="well judged"),
        pytest.param(_ERRS, (80, 190), 0.22, id="as hemaline-2 was judged"),
        pytest.param(_ERRS, (20, 40), 0.33, id="judged by few"),
    ],
)
def test_the_interval_of_the_blasts_holds_the_truth(errs, judged, widest, blasts):
    held, width = _covered(_TWO, errs, judged, (blasts, 1 - blasts))
    print(f"{blasts:.0%} blasts, judged by {judged}: held {held:.3f}, mean width {width:.3f}")  # noqa: T201
    assert held >= 0.93
    assert width <= widest


@pytest.mark.parametrize("blasts", _BLASTS)
def test_it_holds_the_truth_among_six_classes_of_which_some_are_hardly_judged(blasts):
    rest = (1 - blasts) * np.array([0.5, 0.3, 0.12, 0.03, 0.05])
    shares = (blasts, *rest)
    held, width = _covered(CELLS, _ERRS_IN_SIX, (80, 48, 55, 25, 13, 22), shares)
    print(f"{blasts:.0%} blasts of six classes: held {held:.3f}, mean width {width:.3f}")  # noqa: T201
    assert held >= 0.93
    assert width <= 0.25


@pytest.mark.parametrize("blasts", [0.05, 0.2])
def test_it_holds_the_truth_where_more_cells_are_unreadable_than_when_it_was_judged(blasts):
    shares = (blasts, 1 - blasts)
    held, width = _covered(_TWO, _ERRS, (80, 190), shares, slides=150, unreadable=0.3)
    assert held >= 0.93
    assert width > _covered(_TWO, _ERRS, (80, 190), shares, slides=30)[1] + 0.1


def test_the_same_labels_always_give_the_same_shares():
    counts = {"blast": 12, "neutrophil": 80, UNCLASSIFIED: 9}
    first, second = (true_shares(counts, seldom_wrong()) for _ in range(2))
    for label in CELLS:
        assert np.array_equal(first[label], second[label])


def test_all_shares_of_a_draw_add_up_to_one():
    shares = true_shares({"blast": 12, UNCLASSIFIED: 9}, seldom_wrong())
    assert set(shares) == {*CELLS, UNCLASSIFIED}
    assert np.sum(list(shares.values()), axis=0) == pytest.approx(np.ones(DRAWS))


def test_a_classifier_without_errors_leaves_the_counting_error():
    shares = true_shares({"blast": 30, "lymphocyte": 170}, seldom_wrong(_TWO))
    fraction, low, high = interval(shares["blast"])
    # Wilson's interval of 30 among 200.
    assert (fraction, low, high) == pytest.approx((0.15, 0.107, 0.206), abs=0.008)


def test_none_among_n_cells_leaves_what_clopper_and_pearson_leave():
    _, low, high = interval(true_shares({"lymphocyte": 200}, seldom_wrong(_TWO))["blast"])
    assert low == 0
    assert high == pytest.approx(3.7 / 200, rel=0.25)


def test_false_blasts_are_taken_off():
    errs = roles(_TWO, (np.array([[0.9, 0.1, 0], [0.1, 0.9, 0]]) * 2000).astype(int))
    shares = true_shares({"blast": 100, "lymphocyte": 900}, errs)
    assert interval(shares["blast"])[0] == pytest.approx(0.0, abs=0.01)


def test_fewer_judging_samples_widen_the_interval():
    errs = np.array([[0.81, 0.09, 0.1], [0.045, 0.855, 0.1]])
    counts = {"blast": 40, "lymphocyte": 140, UNCLASSIFIED: 20}
    widths = []
    for samples in (20, 200, 2000):
        bundle = roles(_TWO, np.rint(errs * samples).astype(int))
        _, low, high = interval(true_shares(counts, bundle)["blast"])
        widths.append(high - low)
    assert widths[0] > 1.3 * widths[1] > 1.3 * widths[2]


@pytest.mark.parametrize("more", [{"design_effect": 4.0}, {"correlation": 0.1}])
def test_cells_of_few_patients_widen_the_interval(more):
    counts = {"blast": 40, "lymphocyte": 140, UNCLASSIFIED: 20}
    errs = np.rint(_ERRS * 100).astype(int)
    plain, clustered = (
        interval(true_shares(counts, bundle)["blast"])
        for bundle in (roles(_TWO, errs), roles(_TWO, errs, **more))
    )
    assert clustered[2] - clustered[1] > 1.2 * (plain[2] - plain[1])


def test_a_classifier_that_nobody_judged_says_next_to_nothing():
    _, low, high = interval(
        true_shares({"blast": 150, "lymphocyte": 50}, roles(_TWO, None))["blast"]
    )
    assert low < 0.1
    assert high > 0.9
