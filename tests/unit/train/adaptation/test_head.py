"""A head that learns from a few cells, drawn towards the shipped one."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")

from hemaline_train.adaptation.head import TaskHead, fit_head

DICE = np.random.default_rng(0)
SHIPPED = TaskHead(DICE.normal(0, 0.1, (3, 20)), np.zeros(3))
KINDS = np.repeat([0, 1], 8)
SEEN = DICE.normal(0, 0.3, (16, 20)) + np.where(KINDS[:, None] == 1, 1.0, -1.0) * np.eye(20)[0]
CALLED = np.eye(3, dtype=bool)[KINDS]


def test_without_cells_the_head_is_the_shipped_one():
    assert fit_head(SHIPPED, SEEN[:0], CALLED[:0]) is SHIPPED


def test_it_learns_what_the_cells_are_called():
    head = fit_head(SHIPPED, SEEN, CALLED)
    assert (head.logits(SEEN).argmax(axis=1) == KINDS).all()


def test_a_strong_pull_leaves_it_as_it_ships():
    head = fit_head(SHIPPED, SEEN, CALLED, strength=1e6)
    assert head.logits(SEEN) == pytest.approx(SHIPPED.logits(SEEN), abs=1e-3)


def test_a_coarse_label_leaves_open_which_of_its_fine_ones_it_is():
    either = CALLED | np.array([[False, False, True]]) & (KINDS == 1)[:, None]
    shipped = TaskHead(SHIPPED.weight, np.array([0.0, 0.0, 1.0]))
    scores = fit_head(shipped, SEEN, either).logits(SEEN[KINDS == 1])
    assert (scores.argmax(axis=1) == 2).all()


def test_a_class_of_a_single_cell_is_learned_beside_a_frequent_one():
    at = np.array([0, *range(8, 16)])
    head = fit_head(SHIPPED, SEEN[at], CALLED[at])
    assert (head.logits(SEEN[at]).argmax(axis=1) == KINDS[at]).all()
