"""A device is compared with its own past, and drifts only where it differs for a while."""

import random

import pytest

from hemaline_cloud.fleet.baseline import Baseline


def after(*values: float, start: Baseline | None = None) -> Baseline:
    baseline = start or Baseline()
    for value in values:
        baseline = baseline.with_frame(value)
    return baseline


def usual(seed: int = 1, frames: int = 1000) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(2.0, 0.2) for _ in range(frames)]


def test_mean_and_spread_are_those_of_the_frames():
    baseline = after(*usual())
    assert baseline.frames == 1000
    assert baseline.mean == pytest.approx(2.0, abs=0.03)
    assert baseline.variance**0.5 == pytest.approx(0.2, abs=0.02)


def test_too_few_frames_tell_no_drift():
    assert after(*usual(frames=199)).drift is None
    assert after(*usual(frames=200)).drift is not None


@pytest.mark.parametrize("seed", range(20))
def test_what_is_usual_is_no_drift(seed):
    assert not after(*usual(seed)).drifts


def test_one_bad_slide_is_no_drift_and_many_are():
    known = after(*usual())
    assert not after(*[2.6] * 10, start=known).drifts
    assert after(*[2.6] * 150, start=known).drifts
    assert after(*[1.4] * 150, start=known).drifts


def test_pictures_that_never_differ_do_not_drift():
    assert after(*[2.0] * 300).drift == 0
