"""Doubted labels: out-of-fold answers, and only where every network says something else."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_shared.errors import PermanentError
from hemaline_train.data.lab_data import lab_data_set
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task
from hemaline_train.reports.label_doubts import doubts, out_of_fold

OURS = lab_data_set("ours", Task("ours", "cell", ("a", "b")), 0.1)


def samples(labels, patients):
    return [
        Sample(OURS, Path(f"{n}.png"), "train", (f"ours/group={p}",), None, 0.1, {"ours": label})
        for n, (label, p) in enumerate(zip(labels, patients, strict=True))
    ]


def two_clouds(count=200, patients=20):
    dice = np.random.default_rng(0)
    labels = ["ab"[n % 2] for n in range(count)]
    centres = np.array([[-2.0, 0.0] if label == "a" else [2.0, 0.0] for label in labels])
    features = (centres + dice.normal(size=(count, 2))).astype(np.float32)
    return features, labels, [f"P{n % patients // 2}" for n in range(count)]


def test_answers_come_from_models_that_never_saw_the_patient():
    # What tells the labels apart is the patient alone: who never saw him can only guess.
    patients = [f"P{n // 10}" for n in range(200)]
    labels = ["ab"[n // 10 % 2] for n in range(200)]
    features = np.eye(20, dtype=np.float32)[[n // 10 for n in range(200)]]
    names, found = out_of_fold(features, labels, samples(labels, patients))
    right = [names[place] == label for place, label in zip(found.argmax(1), labels, strict=True)]
    assert np.mean(right) <= 0.6


def test_a_wrong_label_is_doubted_first_and_clear_right_ones_are_not():
    features, labels, patients = two_clouds()
    features[10], labels[10] = (-3.0, 0.0), "b"
    names, found = out_of_fold(features, labels, samples(labels, patients))
    first, *others = doubts(names, {"one": found, "two": found}, labels)
    assert (first.place, dict(first.answers)) == (10, {"one": "a", "two": "a"})
    assert all(abs(features[one.place, 0]) < 1.5 for one in others)
    assert all(one.strength <= first.strength for one in others)


def test_what_one_network_finds_right_is_not_doubted():
    wrong, right = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.1, 0.9], [0.1, 0.9]])
    assert not doubts(["a", "b"], {"one": wrong, "two": right}, ["b", "b"])
    assert doubts(["a", "b"], {"one": wrong, "two": wrong}, ["b", "b"]) == []
    three = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2]])
    (only,) = doubts(["a", "b"], {"one": three, "two": three}, ["b", "b", "a"])
    assert only.place == 0


def test_too_few_patients_are_refused():
    features, labels, _ = two_clouds(20)
    with pytest.raises(PermanentError, match="2 groups are too few") as refused:
        out_of_fold(features, labels, samples(labels, [f"P{n % 2}" for n in range(20)]))
    assert refused.value.reason == "folds"
