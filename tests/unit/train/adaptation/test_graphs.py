"""What lies below a graph's heads, and other heads on the same graph."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")

from adaptable_bundle import adaptable_graph
from drawn_bundle import colour_graph
from hemaline_shared.errors import PermanentError
from hemaline_train.adaptation.graphs import Heads, features_of, heads_of, with_heads
from hemaline_train.bundles.answers import run_graph

CROPS = np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), np.uint8)


@pytest.mark.parametrize("packed", [False, True])
def test_features_and_heads_together_are_the_graph(packed, tmp_path):
    graph = adaptable_graph(packed=packed)
    logits = heads_of(graph).logits(features_of(graph, CROPS, tmp_path))
    assert logits == pytest.approx(run_graph(graph, CROPS), abs=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_a_graph_with_other_heads_answers_by_them(packed, tmp_path):
    graph = adaptable_graph(packed=packed)
    heads = heads_of(graph)
    other = Heads(heads.weight[::-1] * 2, heads.bias - 1)
    answers = run_graph(with_heads(graph, other), CROPS)
    assert answers == pytest.approx(other.logits(features_of(graph, CROPS, tmp_path)), abs=1e-5)


def test_what_a_network_sees_is_computed_once_whatever_its_heads(tmp_path, monkeypatch):
    graph = adaptable_graph()
    before = features_of(graph, CROPS, tmp_path)
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("asked again"))
    other = with_heads(graph, Heads(np.zeros((27, 3)), np.zeros(27)))
    assert (features_of(other, CROPS, tmp_path) == before).all()


def test_a_graph_that_export_did_not_write_is_refused():
    with pytest.raises(PermanentError, match="has no heads that could be taught"):
        heads_of(colour_graph(0))
