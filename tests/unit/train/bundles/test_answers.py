"""Answers that are kept: the same weights answer each crop once."""

import pytest

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

import numpy as np

from drawn_bundle import colour_graph
from hemaline_train.bundles import answers
from hemaline_train.bundles.answers import run_graph, run_graph_once


def crops(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), np.uint8)


@pytest.fixture
def ran(monkeypatch):
    """Return how many crops each run of a graph took."""
    counts = []

    def counting(graph, pixels, batch):
        counts.append(len(pixels))
        return run_graph(graph, pixels, batch)

    monkeypatch.setattr(answers, "run_graph", counting)
    return counts


def test_kept_answers_are_those_of_the_graph(tmp_path):
    graph, pixels = colour_graph(0), crops(5)
    run_graph_once(graph, pixels, tmp_path)
    assert np.array_equal(run_graph_once(graph, pixels, tmp_path), run_graph(graph, pixels))


def test_only_crops_that_were_not_answered_run(tmp_path, ran):
    graph, pixels = colour_graph(0), crops(5)
    run_graph_once(graph, pixels[:3], tmp_path)
    whole = run_graph_once(graph, pixels[::-1], tmp_path)
    assert ran == [3, 2]
    assert whole == pytest.approx(run_graph(graph, pixels[::-1]))


def test_other_weights_answer_anew(tmp_path, ran):
    run_graph_once(colour_graph(0), crops(2), tmp_path)
    run_graph_once(colour_graph(1), crops(2), tmp_path)
    assert ran == [2, 2]
