"""Learners tune within what they are given, and their probabilities are probabilities."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")
pytest.importorskip("skimage", reason="make setup-train brings skimage")

from hemaline_train.classical import learning
from hemaline_train.classical.cascade import learn_cascade
from hemaline_train.classical.learning import Lesson, group_folds

LABELS = ("blast", "erythroblast", "lymphocyte", "monocyte")
LEARNERS = [
    learning.learn_svm,
    learning.learn_naive_bayes,
    learning.learn_neighbours,
    learning.learn_mlp,
    learning.learn_logistic,
    learn_cascade,
]


@pytest.fixture
def lesson():
    dice = np.random.default_rng(0)
    targets = np.tile(np.arange(4), 30)
    rows = dice.normal(0, 0.6, (120, 6))
    rows[np.arange(120), targets] += 3
    return Lesson(rows, targets, np.arange(120) // 8, LABELS)


@pytest.mark.parametrize("learn", LEARNERS)
def test_what_can_be_told_apart_is_told_apart(learn, lesson):
    given = learn(lesson)(lesson.rows + 0.01)
    assert given.shape == (120, 4)
    assert np.allclose(given.sum(axis=1), 1)
    assert (given >= 0).all()
    assert (given.argmax(axis=1) == lesson.targets).mean() > 0.9


def test_a_label_that_never_taught_is_never_the_answer(lesson):
    rare = Lesson(lesson.rows, lesson.targets, lesson.groups, (*LABELS, "basophil"))
    given = learning.learn_svm(rare)(lesson.rows)
    assert given.shape == (120, 5)
    assert (given.argmax(axis=1) != 4).all()


def test_folds_keep_groups_whole(lesson):
    for learned, judged in group_folds(lesson, 3):
        assert not set(lesson.groups[learned]) & set(lesson.groups[judged])


def test_part_of_a_lesson_has_its_own_numbers(lesson):
    part = lesson.part(lesson.targets >= 2, ("lymphocyte", "monocyte"))
    assert set(part.targets.tolist()) == {0, 1}
    assert len(part.rows) == 60


def test_labels_without_any_signal_are_answered_without_confidence():
    dice = np.random.default_rng(1)
    noise = Lesson(
        dice.normal(0, 1, (120, 6)), dice.integers(0, 2, 120), np.arange(120) // 4, ("a", "b")
    )
    given = learning.learn_svm(noise)(dice.normal(0, 1, (50, 6)))
    assert given.max(axis=1).mean() < 0.75
