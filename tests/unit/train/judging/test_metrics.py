"""Figures: known values, undefined cases, and intervals over patients."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_train.judging.metrics import (
    auroc,
    balanced_accuracy,
    calibration_error,
    chance_calibration_error,
    confidence_bins,
    debiased_calibration_error,
    macro_auroc,
    over_groups,
    over_groups_each,
    recall,
    sensitivity_at,
)


def calibrated(count, seed, too_sure=0.0):
    """Return answers of two labels that are right as often as they say, less `too_sure`."""
    dice = np.random.default_rng(seed)
    confidence = dice.uniform(0.6, 1, count)
    right = dice.random(count) < confidence - too_sure
    return np.where(right, 0, 1), np.stack([confidence, 1 - confidence], axis=1)


def test_balanced_accuracy_counts_a_rare_label_as_much_as_a_common_one():
    truth = np.array([0] * 9 + [1])
    assert balanced_accuracy(truth, np.zeros(10, int)) == 0.5


def test_auroc_of_one_kind_alone_is_undefined():
    assert auroc(np.array([True, True]), np.array([0.1, 0.9])) is None


def test_auroc_of_a_perfect_order_is_one():
    assert auroc(np.array([False, False, True]), np.array([0.1, 0.2, 0.3])) == 1.0


def test_auroc_counts_a_tie_as_half_a_win():
    assert auroc(np.array([False, True]), np.array([0.5, 0.5])) == 0.5
    assert auroc(np.array([True, False, False]), np.array([0.2, 0.2, 0.4])) == 0.25


def test_macro_auroc_is_the_mean_over_the_labels_that_occur():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.1, 0.8], [0.7, 0.3, 0]])
    assert macro_auroc(truth, probabilities) == pytest.approx((1.0 + 0.625) / 2)


def test_macro_auroc_of_one_label_is_undefined():
    assert macro_auroc(np.zeros(3, int), np.tile([0.9, 0.1], (3, 1))) is None


def test_recall_of_a_label_that_does_not_occur_is_undefined():
    truth, given = np.array([0, 0, 1]), np.array([0, 1, 1])
    assert [recall(truth, given, label) for label in (0, 1, 2)] == [0.5, 1.0, None]


def test_sensitivity_at_95_specificity_lets_one_negative_in_twenty_be_wrong():
    positive = np.array([False] * 20 + [True] * 2)
    score = np.array([*np.arange(20.0), 18.5, 17.5])
    assert sensitivity_at(positive, score, 0.95) == 0.5
    assert sensitivity_at(positive, score, 1.0) == 0.0


def test_sensitivity_at_a_specificity_does_not_count_ties_with_negatives():
    positive = np.array([False] * 20 + [True] * 2)
    score = np.array([0.0] * 19 + [1.0] + [1.0, 2.0])
    assert sensitivity_at(positive, score, 1.0) == 0.5


def test_an_honest_half_sure_answer_has_no_calibration_error():
    probabilities = np.tile([0.5, 0.5], (100, 1))
    truth = np.array([0, 1] * 50)
    error = calibration_error(truth, probabilities, bins=1)
    assert error == pytest.approx(0.0)


def test_an_overconfident_answer_has_the_gap_as_calibration_error():
    probabilities = np.tile([1.0, 0.0], (100, 1))
    assert calibration_error(np.array([0, 1] * 50), probabilities, bins=1) == pytest.approx(0.5)


def test_confidence_bins_hold_all_samples_in_the_order_of_confidence():
    bins = list(confidence_bins(*calibrated(103, 0)))
    assert sum(one.count for one in bins) == 103
    confidences = [one.confidence for one in bins]
    assert confidences == sorted(confidences)


def test_less_bias_is_left_in_the_error_of_a_calibrated_model():
    plain, debiased, expected = (
        np.mean([figure(*answers) for answers in (calibrated(300, seed) for seed in range(60))])
        for figure in (
            calibration_error,
            debiased_calibration_error,
            lambda _, probabilities: chance_calibration_error(probabilities),
        )
    )
    assert debiased < 0.75 * plain
    assert plain == pytest.approx(expected, rel=0.15)


def test_a_true_gap_stays_in_the_debiased_error():
    error = debiased_calibration_error(*calibrated(20_000, 1, too_sure=0.1))
    assert error == pytest.approx(0.1, abs=0.01)


def test_nothing_has_no_calibration_error():
    nothing = np.empty((0, 2))
    assert debiased_calibration_error(np.empty(0, int), nothing) is None
    assert chance_calibration_error(nothing) is None


def test_figures_together_have_the_intervals_that_each_has_alone():
    dice = np.random.default_rng(3)
    values = {name: dice.random(60) for name in ("a", "b")}
    groups = [str(number // 5) for number in range(60)]
    figures = {name: lambda at, v=v: float(v[at].mean()) for name, v in values.items()}
    together = over_groups_each(figures, groups, 100)
    assert together == {name: over_groups(one, groups, 100) for name, one in figures.items()}


def test_intervals_resample_patients_and_not_cells():
    right = np.repeat([True, False], 500)
    groups = [*"aaabbb"] + ["c"] * 497 + ["d"] * 250 + ["e"] * 247
    interval = over_groups(lambda at: float(right[at].mean()), groups)
    assert interval.value == 0.5
    assert interval.low < 0.1
    assert interval.high > 0.9


def test_a_single_patient_has_no_interval():
    interval = over_groups(lambda at: float(len(at)), ["one"] * 5)
    assert (interval.value, interval.low) == (5.0, None)


def test_three_patients_have_no_interval_and_four_have_one():
    def spread(patients):
        return over_groups(lambda at: float(at.mean()), [str(one) for one in range(patients)])

    assert spread(3).low is None
    assert spread(4).low is not None


def test_a_label_of_one_patient_does_not_drop_out_of_the_interval_of_balanced_accuracy():
    truth = np.array([0] * 11 + [1])
    given, labels, groups = np.zeros(12, int), np.array([0, 1]), [str(one) for one in range(12)]
    interval = over_groups(lambda at: balanced_accuracy(truth[at], given[at], labels), groups)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.5, 0.5)
    assert balanced_accuracy(truth[:11], given[:11], labels) is None
    assert macro_auroc(truth[:11], np.tile([0.9, 0.1], (11, 1)), labels) is None


def test_an_error_that_resampling_only_enlarges_lies_within_its_interval():
    truth, probabilities = calibrated(240, 4)
    groups = [str(number // 20) for number in range(240)]
    figures = {"error": lambda at: calibration_error(truth[at], probabilities[at])}
    plain = over_groups_each(figures, groups, 200)["error"]
    taken_off = over_groups_each(figures, groups, 200, widened=["error"])["error"]
    assert taken_off.low <= taken_off.value <= taken_off.high
    assert 0 <= taken_off.low < plain.low


def test_a_figure_that_most_resamples_do_not_define_has_no_interval():
    positive = np.array([True] + [False] * 30)
    groups = [str(number) for number in range(31)]
    score = np.arange(31, 0, -1).astype(float)

    def rare(at):
        return auroc(positive[at], score[at]) if (at == 0).sum() > 2 else None

    assert over_groups(lambda at: 1.0 if len(at) == 31 else None, groups).low == 1.0
    assert over_groups(lambda at: rare(at) or (1.0 if at[0] == 0 else None), groups).low is None
