"""From logits to labels: calibrated, averaged, and never forced."""

import math

import numpy as np
import pytest

from hemaline_cloud.inference.verdicts import judge, softmax
from hemaline_shared.errors import PermanentError
from parts.bundles import tiny_manifest

_FILES = {"first.onnx": b"1", "second.onnx": b"2"}


def _logits(*rows):
    return np.array(rows, np.float32)


def test_networks_are_averaged_after_their_softmax():
    sure = _logits([math.log(8), math.log(1), math.log(1)])
    torn = _logits([math.log(1), math.log(1), math.log(2)])
    (verdict,) = judge(tiny_manifest(_FILES), {"first": sure, "second": torn})
    assert verdict.label == "blast"
    assert verdict.probability == pytest.approx((0.8 + 0.25) / 2)
    assert verdict.probabilities["first"]["blast"] == pytest.approx(0.8)
    assert verdict.probabilities["second"]["smudge"] == pytest.approx(0.5)
    assert sum(verdict.probabilities["average"].values()) == pytest.approx(1)


def test_each_network_has_its_own_temperature():
    manifest = tiny_manifest(_FILES)
    first, second = manifest.networks
    cooled = (first.model_copy(update={"temperature": 2.0}), second)
    logits = _logits([2.0, 0.0, 0.0])
    (verdict,) = judge(tiny_manifest(_FILES, networks=cooled), {"first": logits, "second": logits})
    assert verdict.probabilities["first"]["blast"] == pytest.approx(math.e / (math.e + 2))
    assert verdict.probabilities["second"]["blast"] == pytest.approx(math.e**2 / (math.e**2 + 2))


def test_below_its_labels_operating_point_a_cell_is_unclassified():
    points = {"blast": 0.9, "lymphocyte": 0.1, "smudge": 0.1}
    logits = _logits([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    manifest = tiny_manifest(_FILES, operating_points=points)
    unsure, sure = judge(manifest, {"first": logits, "second": logits})
    assert (unsure.label, sure.label) == ("unclassified", "lymphocyte")
    assert unsure.probability == sure.probability
    assert unsure.probabilities["average"]["blast"] == unsure.probability


def test_at_its_operating_point_a_cell_is_classified():
    logits = _logits([0.0, 0.0, 0.0])
    points = {"blast": 1 / 3, "lymphocyte": 1 / 3, "smudge": 1 / 3}
    manifest = tiny_manifest(_FILES, operating_points=points)
    (verdict,) = judge(manifest, {"first": logits, "second": logits})
    assert verdict.label == "blast"


def test_an_untrained_bundle_says_nothing():
    manifest = tiny_manifest(_FILES, trained=False, operating_points={})
    logits = _logits([9.0, 0.0, 0.0], [0.0, 9.0, 0.0])
    for verdict in judge(manifest, {"first": logits, "second": logits}):
        assert verdict.label == "unclassified"
        assert verdict.probability is None
        assert verdict.probabilities is None


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(value, trained):
    points = {"operating_points": {}} if not trained else {}
    manifest = tiny_manifest(_FILES, trained=trained, **points)
    good, broken = _logits([1.0, 0.0, 0.0]), _logits([1.0, value, 0.0])
    with pytest.raises(PermanentError, match="second") as caught:
        judge(manifest, {"first": good, "second": broken})
    assert caught.value.reason == "no-finite-logits"


def test_huge_logits_do_not_overflow():
    shares = softmax(_logits([1e30, 0.0, -1e30]), 1.0)
    assert shares.tolist() == [[1.0, 0.0, 0.0]]
