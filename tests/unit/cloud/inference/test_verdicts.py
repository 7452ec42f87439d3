"""From logits to labels: calibrated, averaged, and never forced."""

import math

import numpy as np
import pytest

from hemaline_cloud.inference.verdicts import judge, judge_fields
from hemaline_shared.errors import PermanentError
from hemaline_shared.logits import softmax
from hemaline_shared.model_manifest import Calibration
from parts.bundles import EVERY_TASK, tiny_manifest

_FILES = {"first.onnx": b"1", "second.onnx": b"2"}


def _logits(*rows):
    return np.array(rows, np.float32)


def test_networks_are_averaged_after_their_softmax():
    sure = _logits([math.log(8), math.log(1), math.log(1)])
    torn = _logits([math.log(1), math.log(1), math.log(2)])
    (verdict,) = judge(tiny_manifest(_FILES), {"first": sure, "second": torn})
    assert verdict.label == "blast"
    assert verdict.probability == pytest.approx((0.8 + 0.25) / 2)
    assert verdict.probabilities["cell-class"]["first"]["blast"] == pytest.approx(0.8)
    assert verdict.probabilities["cell-class"]["second"]["smudge"] == pytest.approx(0.5)
    assert sum(verdict.probabilities["cell-class"]["average"].values()) == pytest.approx(1)


def test_each_network_has_its_own_temperature():
    manifest = tiny_manifest(_FILES)
    first, second = manifest.networks
    cooled = (
        first.model_copy(update={"calibration": {"cell-class": Calibration(temperature=2.0)}}),
        second,
    )
    logits = _logits([2.0, 0.0, 0.0])
    (verdict,) = judge(tiny_manifest(_FILES, networks=cooled), {"first": logits, "second": logits})
    answers = verdict.probabilities["cell-class"]
    assert answers["first"]["blast"] == pytest.approx(math.e / (math.e + 2))
    assert answers["second"]["blast"] == pytest.approx(math.e**2 / (math.e**2 + 2))


def test_a_networks_answer_counts_as_much_as_its_weight_says():
    manifest = tiny_manifest(_FILES)
    first, second = manifest.networks
    heavy = first.model_copy(update={"calibration": {"cell-class": Calibration(weight=3.0)}})
    sure = _logits([math.log(8), math.log(1), math.log(1)])
    torn = _logits([math.log(1), math.log(1), math.log(2)])
    (verdict,) = judge(
        tiny_manifest(_FILES, networks=(heavy, second)), {"first": sure, "second": torn}
    )
    assert verdict.probability == pytest.approx((3 * 0.8 + 0.25) / 4)
    assert verdict.probabilities["cell-class"]["first"]["blast"] == pytest.approx(0.8)


def test_a_network_without_weight_neither_counts_nor_disagrees():
    manifest = tiny_manifest(_FILES)
    first, second = manifest.networks
    silent = second.model_copy(update={"calibration": {"cell-class": Calibration(weight=0.0)}})
    sure = _logits([math.log(8), math.log(1), math.log(1)])
    torn = _logits([math.log(1), math.log(1), math.log(2)])
    (verdict,) = judge(
        tiny_manifest(_FILES, networks=(first, silent)), {"first": sure, "second": torn}
    )
    assert verdict.probability == pytest.approx(0.8)
    assert verdict.disagreement == 0


def test_below_its_labels_operating_point_a_cell_is_unclassified():
    points = {"blast": 0.9, "lymphocyte": 0.1, "smudge": 0.1}
    logits = _logits([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    manifest = tiny_manifest(_FILES, operating_points=points)
    unsure, sure = judge(manifest, {"first": logits, "second": logits})
    assert (unsure.label, sure.label) == ("unclassified", "lymphocyte")
    assert unsure.likeliest == "blast"
    assert unsure.probability == sure.probability
    assert unsure.probabilities["cell-class"]["average"]["blast"] == unsure.probability


def test_at_its_operating_point_a_cell_is_classified():
    logits = _logits([0.0, 0.0, 0.0])
    points = {"blast": 1 / 3, "lymphocyte": 1 / 3, "smudge": 1 / 3}
    manifest = tiny_manifest(_FILES, operating_points=points)
    (verdict,) = judge(manifest, {"first": logits, "second": logits})
    assert verdict.label == "blast"


def test_networks_that_contradict_each_other_disagree():
    blast, lymphocyte = _logits([99.0, 0.0, 0.0]), _logits([0.0, 99.0, 0.0])
    manifest = tiny_manifest(_FILES)
    (torn,) = judge(manifest, {"first": blast, "second": lymphocyte})
    (one,) = judge(manifest, {"first": blast, "second": blast})
    assert torn.disagreement == pytest.approx(1)
    assert one.disagreement == 0


def test_disagreement_is_how_much_probability_the_networks_put_elsewhere():
    first = _logits([math.log(0.7), math.log(0.2), math.log(0.1)])
    second = _logits([math.log(0.4), math.log(0.3), math.log(0.3)])
    (verdict,) = judge(tiny_manifest(_FILES), {"first": first, "second": second})
    assert verdict.disagreement == pytest.approx(0.3)


def test_one_network_alone_cannot_disagree():
    (verdict,) = judge(tiny_manifest({"net.onnx": b""}), {"net": _logits([1.0, 2.0, 3.0])})
    assert verdict.disagreement == 0


_EVERY = tiny_manifest({"net.onnx": b""}, tasks=EVERY_TASK)


def test_each_task_is_answered_from_its_own_logits():
    logits = {"net": _logits([math.log(8), 0, 0, math.log(3), 0, 0, math.log(4)])}
    (verdict,) = judge(_EVERY, logits)
    (answers,) = judge_fields(_EVERY, logits)
    assert verdict.label == "blast"
    assert verdict.probability == pytest.approx(0.8)
    assert verdict.probabilities["apl"]["average"]["APL"] == pytest.approx(0.8)
    assert set(answers) == {"all-subtype"}
    assert answers["all-subtype"]["average"]["benign"] == pytest.approx(0.75)


def test_a_question_is_not_answered_for_a_cell_that_it_makes_no_sense_for():
    lymphocyte = {"net": _logits([0, 9, 0, 0, 0, 0, 9])}
    (verdict,) = judge(_EVERY, lymphocyte)
    assert set(verdict.probabilities) == {"cell-class"}


def test_each_task_has_its_own_temperature():
    (entry,) = _EVERY.networks
    hot = entry.model_copy(update={"calibration": {"apl": Calibration(temperature=2.0)}})
    manifest = tiny_manifest({"net.onnx": b""}, tasks=EVERY_TASK, networks=(hot,))
    (verdict,) = judge(manifest, {"net": _logits([9, 0, 0, 0, 0, 0, 2])})
    assert verdict.probabilities["apl"]["net"]["APL"] == pytest.approx(math.e / (math.e + 1))


def test_a_bundle_that_looks_at_fields_only_leaves_cells_unclassified():
    manifest = tiny_manifest({"net.onnx": b""}, tasks=(EVERY_TASK[1],))
    (verdict,) = judge(manifest, {"net": _logits([9, 0])})
    assert (verdict.label, verdict.probability) == ("unclassified", None)


def test_an_untrained_bundle_says_nothing():
    manifest = tiny_manifest(_FILES, trained=False, operating_points={})
    logits = _logits([9.0, 0.0, 0.0], [0.0, 9.0, 0.0])
    for verdict in judge(manifest, {"first": logits, "second": logits}):
        assert verdict.label == "unclassified"
        assert verdict.probability is None
        assert verdict.probabilities is None
        assert verdict.disagreement is None


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


def test_apl_is_asked_of_a_cell_that_is_too_unsure_to_be_named_but_likeliest_a_blast():
    (cells, *others) = EVERY_TASK
    careful = cells.model_copy(update={"operating_points": dict.fromkeys(cells.labels, 0.99)})
    manifest = tiny_manifest(_FILES, tasks=(careful, *others))
    logits = _logits([1.0, 0.0, 0.0] + [0.0] * (manifest.outputs - 3))
    (verdict,) = judge(manifest, {"first": logits, "second": logits})
    assert verdict.label == "unclassified"
    assert "apl" in verdict.probabilities
