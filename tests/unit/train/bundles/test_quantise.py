"""Eight bits: what they cost, and the way back for networks that they cost too much."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")


from hemaline_cloud.inference.folding import fold, is_quantised
from hemaline_train.bundles.answers import run_graph
from hemaline_train.bundles.quantise import quantise, quantise_weights
from parts import networks
from parts.networks import graph_of

pytestmark = pytest.mark.xdist_group("torch")


@pytest.fixture(scope="module")
def graph():
    return graph_of("efficientnet-lite0")


@pytest.fixture(scope="module")
def crops():
    return networks.crops()


def test_a_graph_names_no_path_of_the_machine_that_made_it(graph, crops):
    for content in (graph, quantise(graph, crops), quantise_weights(graph)):
        assert b"site-packages" not in content


@pytest.mark.parametrize("whole", [True, False], ids=["activations-too", "weights-only"])
def test_eight_bits_take_about_a_quarter_and_keep_the_answers_near(graph, crops, whole):
    small = quantise(graph, crops) if whole else quantise_weights(graph)
    assert is_quantised(small)
    assert len(small) < 0.4 * len(graph)
    exact = run_graph(graph, crops)
    # On the mean: the largest error of an untrained network swings with the order of its sums.
    assert np.abs(run_graph(small, crops) - exact).mean() < 0.3 * np.ptp(exact)


def test_weights_alone_cost_less_than_activations_too(graph, crops):
    exact = run_graph(graph, crops)
    whole, weights = (
        np.abs(run_graph(small, crops) - exact).mean()
        for small in (quantise(graph, crops), quantise_weights(graph))
    )
    assert weights < whole / 2


def test_folded_back_for_a_gpu_the_answers_are_the_same(graph, crops):
    small = quantise_weights(graph)
    folded = fold(small)
    assert not is_quantised(folded)
    assert run_graph(folded, crops) == pytest.approx(run_graph(small, crops), abs=1e-4)
