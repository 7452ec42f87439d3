"""A reader who contradicts the model overrides it; who says the same more exactly does not."""

import pytest

from hemaline_cloud.review.override_metrics import override_exposition
from hemaline_cloud.review.overrides import SignedCells, is_overridden, overrides_by


def cells(model, reader, number, device="scope-1", *, hidden=False):
    return SignedCells("north", device, "cells-1", "1" * 64, hidden, model, reader, number)


@pytest.mark.parametrize(
    ("model", "reader", "overridden"),
    [
        ("blast", "blast", False),
        ("blast", "lymphocyte", True),
        ("neutrophil", "neutrophil-band", False),
        ("neutrophil-band", "neutrophil", False),
        ("neutrophil-band", "neutrophil-segmented", True),
    ],
)
def test_to_say_the_same_more_or_less_exactly_is_no_override(model, reader, overridden):
    assert is_overridden(model, reader) is overridden


def test_rows_that_are_alike_are_summed_up_and_what_either_left_unnamed_is_left_out():
    rows = [
        cells("blast", "blast", 6),
        cells("blast", "lymphocyte", 1, "scope-2"),
        cells("blast", "monocyte", 3),
        cells("blast", "unclassified", 50),
        cells("unclassified", "blast", 50),
    ]
    (found,) = overrides_by(rows, lambda row: row.model_class).values()
    assert (found.cells, found.overridden, found.rate) == (10, 4, 0.4)
    assert list(found.called.items()) == [("monocyte", 3), ("lymphocyte", 1)]
    assert found.interval[0] < 0.4 < found.interval[1]
    assert overrides_by(rows[3:], lambda row: row.model_class) == {}


def test_the_metrics_name_sites_and_microscopes_and_no_slide():
    told = override_exposition([cells("blast", "monocyte", 3, hidden=True)]).decode()
    labels = (
        f'bundle_id="cells-1",bundle_sha256="{"1" * 64}",device="scope-1",'
        'machine_hidden="true",model_class="blast",site="north"'
    )
    assert f"hemaline_signed_cells{{{labels}}} 3.0" in told
    assert f"hemaline_overridden_cells{{{labels}}} 3.0" in told
