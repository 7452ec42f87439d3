"""Where a reader relabelled cells, the differential is the reader's, with its own uncertainty."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.review.reader_counts import recounted, summary_by_reader, wilson
from hemaline_cloud.review.report import SignedLabel, SignedReport

AT = datetime(2026, 5, 4, tzinfo=UTC)
CELL = UUID(int=7)


def signed(by_reader, labels=1):
    thresholds = [
        {"name": "WHO 2022", "fraction": 0.2, "verdict": "undecided"},
        {"name": "ICC 2022", "fraction": 0.1, "verdict": "undecided"},
    ]
    blasts = {"cells": 1, "leukocytes": 2, "fraction": 0.5, "low": 0.1, "high": 0.9}
    return SignedReport(
        signature_id=UUID(int=1),
        slide_id=UUID(int=2),
        accession="S-1",
        specimen_id=UUID(int=3),
        slide_name=None,
        site="north",
        device="scope",
        simulated=False,
        revision=1,
        computed_at=AT,
        bundle_id="b",
        bundle_sha256="0" * 64,
        trained=True,
        result={**SUMMARY, "blasts": {**blasts, "thresholds": thresholds}},
        cells_by_model={"neutrophil": 2},
        cells_by_reader=by_reader,
        labels=tuple(
            SignedLabel(cell_id=CELL, label="blast", by="p", by_name="P") for _ in range(labels)
        ),
        policy_version=0,
        cells_to_see={},
        signed_by="p",
        signed_by_name="P",
        signed_at=AT,
    )


SUMMARY = {
    "trained": True,
    "fields": 1,
    "cells": 2,
    "cells_by_class": {"neutrophil": 2},
    "urgency": 0,
    "flags": [
        {"code": "blasts-near-who-threshold", "text": "the model's"},
        {"code": "few-cells", "text": "few"},
    ],
    "counting": {"found": 2, "counted": 2, "excluded": {}, "named": 2, "unclassified": 0},
    "differential": [{"label": "neutrophil", "cells": 2, "fraction": 1, "low": 0.3, "high": 1}],
    "made_by": {"bundles": [], "pixel_pipelines": [], "finders": [], "edge_versions": []},
}


def test_what_the_model_may_have_missed_is_no_part_of_a_readers_count():
    missed = {"label": "basophil", "cells": 0, "fraction": 0, "low": 0, "high": 0.1}
    summary = SlideSummary.model_validate({**SUMMARY, "blasts": None, "not_called": [missed]})
    assert recounted(summary, {"neutrophil": 2}).not_called == ()


def test_without_labels_of_people_the_models_numbers_are_signed():
    told = summary_by_reader(signed({"neutrophil": 2}, labels=0))
    assert [(share.label, share.low) for share in told.differential] == [("neutrophil", 0.3)]


def test_the_readers_shares_are_of_the_leukocytes_and_what_is_none_stands_beside():
    told = summary_by_reader(signed({"blast": 30, "neutrophil": 70, "smudge": 5, "artefact": 9}))
    shares = {share.label: share.fraction for share in told.differential}
    assert shares == {"blast": 0.3, "neutrophil": 0.7}
    assert [(beside.label, beside.per_100) for beside in told.beside] == [("smudge", 5.0)]
    assert (told.blasts.cells, told.blasts.leukocytes, told.blasts.provisional) == (30, 100, False)
    assert told.blasts.thresholds[0].verdict == "above"


@pytest.mark.parametrize(("blasts", "verdict"), [(10, "below"), (20, "undecided"), (30, "above")])
def test_a_threshold_is_held_against_the_readers_interval(blasts, verdict):
    told = summary_by_reader(signed({"blast": blasts, "neutrophil": 100 - blasts}))
    assert told.blasts.thresholds[0].verdict == verdict


def test_what_is_told_of_blasts_is_what_the_reader_counted():
    told = summary_by_reader(signed({"blast": 30, "neutrophil": 70}))
    assert [flag.code for flag in told.flags] == [
        "blasts-over-who-threshold",
        "blasts-present",
        "few-cells",
    ]
    told = summary_by_reader(signed({"neutrophil": 97, "unclassified": 3}))
    assert [flag.code for flag in told.flags] == ["few-cells"]
    assert (told.counting.named, told.counting.unclassified) == (97, 3)


def test_cells_that_nobody_named_widen_the_interval_to_both_sides():
    sure = summary_by_reader(signed({"blast": 20, "neutrophil": 80})).blasts
    unsure = summary_by_reader(signed({"blast": 20, "neutrophil": 80, "unclassified": 20})).blasts
    assert unsure.low < sure.low < sure.fraction < sure.high < unsure.high
    assert unsure.high > 0.38


def test_promonocytes_count_as_blasts_and_few_cells_are_provisional():
    told = summary_by_reader(signed({"blast": 1, "promonocyte": 2, "monocyte": 7})).blasts
    assert (told.cells, told.provisional) == (3, True)


def test_finer_names_stand_within_the_line_that_says_the_same_less_exactly():
    told = summary_by_reader(
        signed({"neutrophil": 60, "neutrophil-segmented": 10, "neutrophil-band": 5, "monocyte": 25})
    )
    neutrophil, monocyte = told.differential
    assert (neutrophil.label, neutrophil.cells, neutrophil.fraction) == ("neutrophil", 75, 0.75)
    assert neutrophil.of_which == {"neutrophil-segmented": 10, "neutrophil-band": 5}
    assert (monocyte.cells, monocyte.of_which) == (25, {})
    exact = summary_by_reader(signed({"neutrophil-segmented": 10, "neutrophil-band": 5}))
    assert [share.label for share in exact.differential] == [
        "neutrophil-segmented",
        "neutrophil-band",
    ]


def test_no_cell_is_no_share():
    told = summary_by_reader(signed({"artefact": 3}))
    assert (told.differential, told.blasts) == ((), None)


def test_wilsons_interval_is_that_of_the_literature():
    low, high = wilson(20, 100)
    assert (low, high) == (pytest.approx(0.1334, abs=1e-4), pytest.approx(0.2888, abs=1e-4))
    assert wilson(0, 0) == (0.0, 1.0)
