"""Patterns of slides that are composed of real labelled cells which training never saw.

The shipped bundle names the cells; its own errors stand in the intervals that the rules are held
against.
"""

from collections import Counter

import numpy as np
import pytest

from conftest import missing
from hemaline_cloud.database.tally import CellCount, SlideTally
from hemaline_cloud.inference import verdicts
from hemaline_cloud.inference.aggregate import summarise
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.roles import roles_of
from hemaline_cloud.inference.runtime import Networks
from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_cloud.orders.order import BloodCount
from hemaline_cloud.patterns.counted import counted_by_model
from hemaline_cloud.patterns.judging import judge
from hemaline_cloud.patterns.rules import shipped_rules
from hemaline_train.data.catalogue import known_data_set
from hemaline_train.data.prepare import pixels_of
from hemaline_train.data.samples import read_samples

pytestmark = pytest.mark.deploy  # three networks look at 200 crops

OF_A_CLASS = 25
CELLS = 200
SETS = {"aml-deepapl": {"blast"}, "pbc-acevedo": {"immature-granulocyte", "basophil", "eosinophil"}}
EITHER = {"neutrophil", "lymphocyte", "monocyte"}
COMPOSED = {
    "aml": (
        {"blast": 0.6, "lymphocyte": 0.2, "neutrophil": 0.1, "monocyte": 0.1},
        {},
    ),
    "all": (
        {"blast": 0.8, "lymphocyte": 0.15, "neutrophil": 0.05},
        {},
    ),
    "cml": (
        {"immature-granulocyte": 0.4, "neutrophil": 0.4, "basophil": 0.1, "eosinophil": 0.1},
        {"wbc": {"value": 120}},
    ),
    "cll": (
        {"lymphocyte": 0.85, "neutrophil": 0.12, "monocyte": 0.03},
        {"wbc": {"value": 70}},
    ),
    "reactive-neutrophilia": (
        {"neutrophil": 0.92, "lymphocyte": 0.05, "monocyte": 0.03},
        {"wbc": {"value": 18}},
    ),
    "normal": (
        {"neutrophil": 0.61, "lymphocyte": 0.3, "monocyte": 0.06, "eosinophil": 0.03},
        {"wbc": {"value": 6}},
    ),
}
"""Pattern -> shares of the classes on a slide of it, and the order's blood count."""
CONTRADICT = {
    "aml": {"normal", "cll", "cml", "reactive-neutrophilia"},
    "all": {"normal", "cll", "cml", "reactive-neutrophilia"},
    "cml": {"normal", "cll", "all", "reactive-lymphocytosis"},
    "cll": {"normal", "cml", "aml", "all", "apl", "reactive-neutrophilia"},
    "reactive-neutrophilia": {"cll", "cml", "aml", "all", "reactive-lymphocytosis"},
    "normal": {"cll", "cml", "aml", "all", "apl", "reactive-lymphocytosis"},
}
"""What nobody would call a slide of it, whatever the uncertainty of 200 cells."""


@pytest.fixture(scope="module")
def bundle():
    shipped = shipped_bundle()
    if shipped is None:
        missing("no model bundle ships in this checkout")
    return load_bundle(shipped)


@pytest.fixture(scope="module")
def named(bundle, data_dir):
    """Class -> what the bundle calls real cells of it."""
    crops, truths = [], []
    for name, classes in SETS.items():
        samples = read_samples(known_data_set(name), data_dir / name)
        for label in sorted(classes | (EITHER if name == "pbc-acevedo" else set())):
            unseen = [
                one
                for one in samples
                if one.split == "val" and one.labels.get("cell-class") == label
            ]
            step = max(1, len(unseen) // OF_A_CLASS)
            chosen = unseen[::step][:OF_A_CLASS]
            crops += [pixels_of(sample) for sample in chosen]
            truths += [label] * len(chosen)
    networks = Networks(bundle, "cpu")
    try:
        logits = networks.logits(np.stack(crops))
    finally:
        networks.close()
    said: dict[str, list[str]] = {}
    for truth, verdict in zip(truths, verdicts.judge(bundle.manifest, logits), strict=True):
        said.setdefault(truth, []).append(verdict.label)
    return said


@pytest.fixture
def fitted(bundle, named):
    def of(pattern):
        shares, blood = COMPOSED[pattern]
        dice = np.random.default_rng(7)
        counts = Counter(
            str(dice.choice(named[label]))
            for label, share in shares.items()
            for _ in range(round(share * CELLS))
        )
        cells = tuple(
            CellCount(bundle.manifest.bundle_id, bundle.sha256, True, label, number)
            for label, number in sorted(counts.items())
        )
        roles = roles_of(bundle.manifest)
        summary = summarise(SlideTally(cells, ()), {bundle.sha256: roles}, roles)
        blood_count = BloodCount.model_validate(blood)
        told = judge(shipped_rules().rules, counted_by_model(summary), blood_count)
        return {one.pattern for one in told.fitting}

    return of


@pytest.mark.parametrize("pattern", COMPOSED)
def test_a_slide_of_real_cells_fits_its_pattern_and_none_that_contradicts_it(pattern, fitted):
    found = fitted(pattern)
    assert pattern in found
    assert not found & CONTRADICT[pattern]
