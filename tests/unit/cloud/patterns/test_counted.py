"""A share of cells is an interval: what a count does not tell apart widens it."""

import pytest

from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.patterns.counted import Interval, ReadCount, counted_by_model
from hemaline_cloud.review.reader_counts import wilson

NOTHING: frozenset[str] = frozenset()


def classes(*names: str) -> frozenset[str]:
    return frozenset(names)


def read(**counts: int) -> ReadCount:
    return ReadCount({name.replace("_", "-"): cells for name, cells in counts.items()}, 0)


def by_model(**shares: tuple[float, float]):
    summary = {
        "trained": True,
        "fields": 1,
        "cells": 200,
        "cells_by_class": {},
        "counting": {
            "found": 200,
            "counted": 200,
            "excluded": {},
            "named": 200,
            "unclassified": 0,
        },
        "differential": [share(label, low, high, 1) for label, (low, high) in shares.items()],
        "not_called": [share("basophil", 0.0, 0.03, 0)],
        "beside": [{"label": "smudge", "cells": 20, "per_100": 50, "low": 30, "high": 60}],
        "blasts": None,
        "flags": [],
        "urgency": 0,
        "made_by": {"bundles": [], "pixel_pipelines": [], "finders": [], "edge_versions": []},
    }
    found = counted_by_model(SlideSummary.model_validate(summary))
    assert found
    return found


def share(label: str, low: float, high: float, cells: int):
    name = label.replace("_", "-")
    return {"label": name, "cells": cells, "fraction": low, "low": low, "high": high}


def test_a_readers_share_is_wilsons():
    told = read(lymphocyte=60, neutrophil_segmented=140, smudge=30)
    assert told.cells == 200
    assert told.share(classes("lymphocyte"), NOTHING) == wilson(60, 200)


def test_cells_without_a_class_may_all_be_of_it_or_none():
    low, high = read(lymphocyte=60, monocyte=100, unclassified=40).share(
        classes("lymphocyte"), NOTHING
    )
    assert (low, high) == (wilson(60, 200)[0], wilson(100, 200)[1])


def test_cells_that_are_named_less_exactly_may_be_of_the_finer_class():
    told = read(immature_granulocyte=30, myelocyte=10, monocyte=160)
    low, high = told.share(classes("myelocyte"), NOTHING)
    assert (low, high) == (wilson(10, 200)[0], wilson(40, 200)[1])
    low, high = told.share(classes("myelocyte"), classes("myelocyte", "metamyelocyte"))
    assert (low, high) == (wilson(10, 40)[0], wilson(40, 40)[1])


def test_a_share_of_no_cell_may_be_anything():
    assert read(monocyte=9).share(
        classes("myelocyte"), classes("myelocyte", "metamyelocyte")
    ) == Interval(0.0, 1.0)


def test_the_models_shares_are_added_end_by_end():
    told = by_model(neutrophil=(0.5, 0.6), monocyte=(0.1, 0.2))
    both = told.share(classes("neutrophil", "monocyte"), NOTHING)
    assert both == pytest.approx((0.6, 0.8))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("basophil", (0.0, 0.03)),  # not one cell was called so
        ("lymphocyte-variant", (0.0, 0.4)),  # the model calls them lymphocytes
        ("neutrophil-band", (0.0, 0.6)),
        ("plasma-cell", None),  # nobody knows what it calls these
        ("eosinophil", None),  # an older result does not say that none was called so
    ],
)
def test_what_the_model_does_not_tell_apart_may_be_all_of_what_it_calls_so(asked, found):
    told = by_model(neutrophil=(0.5, 0.6), lymphocyte=(0.3, 0.4))
    assert told.share(classes(asked), NOTHING) == found


def test_a_coarse_class_of_a_model_that_knows_the_finer_ones_is_their_sum():
    told = by_model(neutrophil_band=(0.1, 0.2), neutrophil_segmented=(0.5, 0.6))
    neutrophils = classes("neutrophil", "neutrophil-band", "neutrophil-segmented")
    assert told.share(neutrophils, NOTHING) == pytest.approx((0.6, 0.8))


def test_smudge_cells_are_held_against_the_lymphocytes_beside_which_they_stand():
    told = by_model(lymphocyte=(0.4, 0.6))
    low, high = told.share(classes("smudge"), classes("smudge", "lymphocyte"))
    assert (low, high) == pytest.approx((0.3 / 0.9, 0.6 / 1.0))


def test_a_result_without_a_class_is_no_count():
    summary = {
        "trained": False,
        "fields": 1,
        "cells": 3,
        "cells_by_class": {},
        "differential": None,
        "blasts": None,
        "flags": [],
        "urgency": 0,
        "made_by": {"bundles": [], "pixel_pipelines": [], "finders": [], "edge_versions": []},
    }
    assert counted_by_model(SlideSummary.model_validate(summary)) is None
