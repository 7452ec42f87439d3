"""Reliability diagrams and ROC curves: what is drawn, and that it can be drawn again."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="make setup-train brings matplotlib")
pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import CELL_CLASS
from hemaline_train.judging import plots
from hemaline_train.judging.plots import Roc, draw_reliability, draw_roc, roc_of_labels


def answers(count, seed=0):
    dice = np.random.default_rng(seed)
    return dice.integers(0, 3, count), dice.dirichlet(np.ones(3), count)


def picture(file):
    pixels = cv2.imread(str(file))
    assert pixels is not None
    return pixels


def test_a_reliability_diagram_is_a_picture_that_repeats(tmp_path):
    truth, given = answers(80)
    for name in ("a.png", "b.png"):
        draw_reliability(tmp_path / "new" / name, "tiny", truth, {"average": given})
    assert (tmp_path / "new" / "a.png").read_bytes() == (tmp_path / "new" / "b.png").read_bytes()
    assert len(np.unique(picture(tmp_path / "new" / "a.png").reshape(-1, 3), axis=0)) > 10


def test_a_reliability_diagram_shows_each_network(tmp_path):
    truth, given = answers(80)
    draw_reliability(tmp_path / "one.png", "tiny", truth, {"average": given})
    draw_reliability(tmp_path / "two.png", "tiny", truth, {"average": given, "other": given**0.5})
    one, two = (picture(tmp_path / name) for name in ("one.png", "two.png"))
    assert one.shape == two.shape
    assert not np.array_equal(one, two)


def test_a_curve_of_one_kind_alone_is_left_out_and_not_refused(tmp_path):
    truth, given = answers(30)
    known = Roc("seen", truth == 0, given[:, 0])
    never = Roc("never seen", np.zeros(30, bool), given[:, 1])
    draw_roc(tmp_path / "with.png", "tiny", [known, never])
    draw_roc(tmp_path / "without.png", "tiny", [known])
    assert np.array_equal(picture(tmp_path / "with.png"), picture(tmp_path / "without.png"))


def test_a_curve_goes_from_nothing_to_all_and_ties_make_one_step():
    positive = np.array([True, False, True, False])
    across, up = plots._steps(positive, np.array([0.9, 0.5, 0.5, 0.1]))
    assert across.tolist() == [0, 0, 0.5, 1]
    assert up.tolist() == [0, 0.5, 1, 1]


def test_the_interval_of_a_share_holds_it_and_shrinks_with_the_count():
    shares = np.array([0.0, 0.5, 1.0])
    few_low, few_high = plots._wilson(shares, np.array([10, 10, 10]))
    low, high = plots._wilson(shares, np.array([1000, 1000, 1000]))
    assert (few_low <= shares).all()
    assert (shares <= few_high).all()
    assert (high - low < few_high - few_low).all()
    assert few_high[0] == pytest.approx(0.278, abs=0.001)  # Wilson's own 0 of 10


def test_blasts_have_a_curve_against_lymphocytes():
    labels = [("blast", "blast"), ("lymphocyte", "lymphocyte"), ("monocyte", "monocyte")]
    samples = [
        Sample(
            KNOWN["aml-deepapl"], Path("a.jpg"), "val", ("P",), None, 0.1,
            {"cell-fine": fine, "cell-class": merged},
        )
        for fine, merged in labels
    ]  # fmt: skip
    given = np.full((3, len(CELL_CLASS.labels)), 1 / len(CELL_CLASS.labels))
    curves = {curve.name: curve for curve in roc_of_labels(CELL_CLASS, samples, given)}
    assert set(curves) == {*CELL_CLASS.labels, "blast vs lymphocyte"}
    assert curves["blast vs lymphocyte"].positive.tolist() == [True, False]
