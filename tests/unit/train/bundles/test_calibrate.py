"""Calibration: temperature and weight are found again; operating points keep their promise."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_shared.logits import softmax
from hemaline_train.bundles.calibrate import (
    fit_average,
    fit_temperature,
    mixture_weights,
    operating_points,
    patient_points,
)
from hemaline_train.judging.subjects import Patients


def drawn(temperature, count=20_000):
    dice = np.random.default_rng(0)
    logits = dice.normal(0, 2, (count, 4))
    honest = softmax(logits)
    truth = (honest.cumsum(axis=1) > dice.random((count, 1))).argmax(axis=1)
    return logits * temperature, truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_spoilt_the_logits_is_found(temperature):
    logits, truth = drawn(temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_the_average_of_networks_is_calibrated_not_each_of_them():
    logits, truth = drawn(1.0)
    dice = np.random.default_rng(1)
    networks = [logits + dice.normal(0, 2, logits.shape) for _ in range(3)]
    alone = [fit_temperature(one, truth) for one in networks]
    together = [one.temperature for one in fit_average(networks, truth)]
    assert all(shared < own for shared, own in zip(together, alone, strict=True))
    assert doubt(networks, together, truth) < doubt(networks, alone, truth) / 2


def test_the_network_that_knows_more_counts_more():
    logits, truth = drawn(1.0)
    guesses = np.random.default_rng(1).normal(0, 2, logits.shape)
    knows, guessed = fit_average([logits, guesses], truth)
    assert knows.weight > 0.95
    assert knows.weight + guessed.weight == pytest.approx(1, abs=1e-3)


def test_equal_networks_count_equally():
    logits, truth = drawn(1.0)
    assert [one.weight for one in fit_average([logits, logits], truth)] == [0.5, 0.5]


def test_a_few_samples_silence_no_network():
    weights = mixture_weights(np.array([[0.9, 0.9, 0.9], [0.1, 0.1, 0.1]]))
    assert weights[0] > weights[1] > 0.3


def doubt(networks, temperatures, truth):
    parts = [softmax(one / t) for one, t in zip(networks, temperatures, strict=True)]
    average = np.mean(parts, axis=0)
    return abs(average.max(axis=1).mean() - (average.argmax(axis=1) == truth).mean())


def test_answers_above_their_operating_point_are_as_precise_as_asked():
    logits, truth = drawn(1.0)
    probabilities = softmax(logits)
    points = np.array(operating_points(probabilities, truth, 0.8))
    given = probabilities.argmax(axis=1)
    accepted = probabilities.max(axis=1) >= points[given]
    assert (given == truth)[accepted].mean() >= 0.79
    assert 0.2 < accepted.mean() < 1.0


def test_an_alarm_lets_all_but_a_twentieth_of_its_right_answers_through():
    logits, truth = drawn(1.0)
    probabilities = softmax(logits)
    cautious = operating_points(probabilities, truth, 0.99)
    points = operating_points(probabilities, truth, 0.99, alarms=[1])
    right = (probabilities.argmax(axis=1) == truth) & (truth == 1)
    assert (probabilities.max(axis=1) >= points[1])[right].mean() == pytest.approx(0.95, abs=0.005)
    assert points[1] < cautious[1]
    assert [points[label] for label in (0, 2, 3)] == [cautious[label] for label in (0, 2, 3)]


def test_a_label_with_few_answers_takes_the_point_of_all_labels():
    logits, truth = drawn(1.0, 1000)
    logits[:, 3] -= 100
    probabilities = softmax(logits)
    points = operating_points(probabilities, truth, 0.8)
    given, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    assert (given == truth)[confidence >= points[3]].mean() == pytest.approx(0.8, abs=0.01)


def patients(positive, mean):
    names = [str(number) for number in range(len(mean))]
    return Patients(names, np.array(positive, bool), np.array(mean))


def test_a_patient_s_point_lets_every_known_patient_through_with_room_to_spare():
    without, point = patient_points(patients([1, 1, 0, 0, 0], [0.8, 0.3, 0.2, 0.1, 0.6]))
    assert point == 0.25
    assert without == 0.75


def test_where_no_patient_has_it_the_point_is_a_half():
    assert patient_points(patients([0, 0], [0.9, 0.1])) == (0.5, 0.5)
    assert patient_points(patients([1, 1], [0.9, 0.4])) == (0.8, 0.2)
