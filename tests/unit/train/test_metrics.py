"""Figures: known values, undefined cases, and intervals over patients."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_train.metrics import (
    auroc,
    balanced_accuracy,
    calibration_error,
    over_groups,
    sensitivity_at,
)


def test_balanced_accuracy_counts_a_rare_label_as_much_as_a_common_one():
    truth = np.array([0] * 9 + [1])
    assert balanced_accuracy(truth, np.zeros(10, int)) == 0.5


def test_auroc_of_one_kind_alone_is_undefined():
    assert auroc(np.array([True, True]), np.array([0.1, 0.9])) is None


def test_auroc_of_a_perfect_order_is_one():
    assert auroc(np.array([False, False, True]), np.array([0.1, 0.2, 0.3])) == 1.0


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


def test_intervals_resample_patients_and_not_cells():
    right = np.repeat([True, False], 500)
    groups = ["one"] * 500 + ["other"] * 500
    interval = over_groups(lambda at: float(right[at].mean()), groups)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)


def test_a_single_patient_has_no_interval():
    interval = over_groups(lambda at: float(len(at)), ["one"] * 5)
    assert (interval.value, interval.low) == (5.0, None)


def test_a_figure_that_most_resamples_do_not_define_has_no_interval():
    positive = np.array([True] + [False] * 30)
    groups = [str(number) for number in range(31)]
    score = np.arange(31, 0, -1).astype(float)

    def rare(at):
        return auroc(positive[at], score[at]) if (at == 0).sum() > 2 else None

    assert over_groups(lambda at: 1.0 if len(at) == 31 else None, groups).low == 1.0
    assert over_groups(lambda at: rare(at) or (1.0 if at[0] == 0 else None), groups).low is None
