"""Shortcuts: how far they get, and what is said of it."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_train.judging.metrics import Interval
from hemaline_train.judging.shortcuts import NETWORK, Shortcut, measure_shortcuts


def shortcut(value, chance=0.5, name="colour statistics"):
    return Shortcut(name, Interval(value, None, None), chance)


@pytest.mark.parametrize(
    ("value", "chance", "word"),
    [
        (0.5, 0.5, "harmless"),
        (0.65, 0.5, "noteworthy"),
        (0.85, 0.5, "suspicious"),
        (0.30, 0.1, "harmless"),
        (0.40, 0.1, "noteworthy"),
        (0.70, 0.1, "suspicious"),
    ],
)
def test_the_way_from_chance_to_no_error_decides(value, chance, word):
    assert shortcut(value, chance).verdict().startswith(word)


def test_what_nearly_reaches_a_network_is_suspicious_however_low_it_is():
    network = shortcut(0.62, name=NETWORK)
    assert shortcut(0.61).verdict(network) == (
        "suspicious: it nearly reaches a plain network, which has 0.62"
    )
    assert shortcut(0.55).verdict(network) == "harmless"


def test_without_a_figure_there_is_no_verdict():
    assert shortcut(None).verdict() == "cannot be judged"


def test_colours_that_tell_the_label_are_found_and_a_network_s_features_come_first():
    dice = np.random.default_rng(0)
    labels = ["red" if n % 2 else "blue" for n in range(40)]
    pixels = dice.integers(90, 110, (40, 64, 64, 3)).astype(np.uint8)
    pixels[1::2, ..., 0] += 100
    trained = np.arange(40) < 20
    groups = [f"P{n}" for n in range(40)]
    features = dice.normal(size=(40, 8)).astype(np.float32)
    network, colours, *_ = measure_shortcuts(pixels, labels, trained, groups, features)
    assert network.name == NETWORK
    assert (colours.name, colours.balanced_accuracy.value) == ("colour statistics", 1.0)
    assert colours.verdict(network).startswith("suspicious")
