"""A slide's result follows from its tally, and says no more than that."""

import numpy as np
import pytest

from hemaline_cloud.database.summary import kept_urgency_flags, ledger_flags
from hemaline_cloud.database.tally import CellCount, FieldCount, SlideTally
from hemaline_cloud.inference.aggregate import summarise
from hemaline_cloud.inference.roles import BundleRoles, roles_in
from parts.bundles import tiny_manifest
from parts.classifiers import CELLS, roles, seldom_wrong, tally_of

_ROLES = seldom_wrong()
_UNTRAINED = BundleRoles(trained=False)


def _summary(counts, bundle=_ROLES, **more):
    return summarise(tally_of(counts, **more), {"b1": bundle}, bundle)


def _count(label, cells, bundle="b1", trained=True):
    return CellCount(f"id-{bundle}", bundle, trained, label, cells)


def _codes(summary):
    return [flag.code for flag in summary.flags]


def _text(summary, code):
    return next(flag.text for flag in summary.flags if flag.code == code)


def test_the_differential_counts_leukocytes_only():
    summary = _summary(
        {"neutrophil": 60, "lymphocyte": 40, "smudge": 30, "erythroblast": 5, "unclassified": 0}
    )
    shares = {share.label: share for share in summary.differential}
    assert {label: share.cells for label, share in shares.items()} == {
        "neutrophil": 60,
        "lymphocyte": 40,
    }
    assert shares["neutrophil"].fraction == pytest.approx(0.6, abs=0.01)
    assert shares["neutrophil"].low == pytest.approx(0.5, abs=0.03)
    assert shares["neutrophil"].high == pytest.approx(0.69, abs=0.03)
    assert (summary.cells, summary.cells_by_class["smudge"]) == (135, 30)


def test_smudges_and_erythroblasts_stand_beside_it_per_100_leukocytes():
    summary = _summary({"lymphocyte": 200, "smudge": 30, "erythroblast": 4})
    beside = {share.label: share for share in summary.beside}
    assert (beside["smudge"].cells, beside["erythroblast"].cells) == (30, 4)
    assert beside["smudge"].per_100 == pytest.approx(15, abs=1)
    assert beside["smudge"].low == pytest.approx(10, abs=1.5)
    assert beside["smudge"].high == pytest.approx(21, abs=2)
    assert beside["erythroblast"].per_100 == pytest.approx(2, abs=0.5)


def test_of_a_class_that_no_cell_was_called_some_may_have_been_missed():
    summary = _summary({"neutrophil": 60, "lymphocyte": 140})
    missed = {share.label: share for share in summary.not_called}
    assert missed.keys() == set(_ROLES.leukocytes) - {"neutrophil", "lymphocyte"}
    assert {share.cells for share in missed.values()} == {0}
    assert missed["blast"].low == 0
    assert 0 < missed["blast"].high < 0.05
    few = {share.label: share for share in _summary({"neutrophil": 20}).not_called}
    assert few["blast"].high > missed["blast"].high


def test_beside_hardly_a_leukocyte_there_stand_at_most_as_many_as_were_counted():
    (smudge,) = _summary({"lymphocyte": 1, "smudge": 30}).beside
    assert smudge.high == 100 * 31


def test_a_cell_that_does_not_count_is_found_and_told_and_in_no_share():
    counted = _summary({"blast": 40, "lymphocyte": 160})
    summary = _summary(
        {"blast": 40, "lymphocyte": 160}, excluded={"cut-by-border": 30, "seen-before": 100}
    )
    assert summary.counting.excluded == {"cut-by-border": 30, "seen-before": 100}
    assert (summary.counting.found, summary.counting.counted) == (330, 200)
    assert (summary.cells, summary.cells_by_class["lymphocyte"]) == (330, 290)
    assert summary.differential == counted.differential
    assert summary.blasts == counted.blasts


def test_a_slide_of_which_no_cell_counts_has_no_differential():
    summary = _summary({}, excluded={"cut-by-border": 3})
    assert (summary.cells, summary.counting.counted, summary.differential) == (3, 0, None)
    assert _text(summary, "few-cells").startswith("0 white cells count in 3 fields")


def test_cells_of_no_class_widen_the_interval_and_stay_in_the_denominator():
    sure = _summary({"blast": 30, "lymphocyte": 170}).blasts
    unsure = _summary({"blast": 30, "lymphocyte": 170, "unclassified": 50}).blasts
    assert (unsure.leukocytes, unsure.unclassified) == (200, 50)
    assert unsure.low < sure.low
    assert unsure.high > sure.high + 0.1


def test_one_blast_among_unclassified_cells_is_not_a_slide_of_blasts():
    summary = _summary({"blast": 1, "unclassified": 199})
    assert summary.blasts.low < 0.1
    assert summary.blasts.high > 0.9
    assert summary.blasts.provisional
    assert summary.urgency == 1
    assert {one.verdict for one in summary.blasts.thresholds} == {"undecided"}
    told = _text(summary, "blasts-provisional")
    assert told.startswith("Blasts are 0.0% to 100.0% of the leukocytes")
    assert "perhaps over the WHO threshold" in told


@pytest.mark.parametrize(
    ("blasts", "code", "urgency"),
    [
        (0, None, 0),
        (1, "blasts-present", 1),
        (20, "blasts-near-icc-threshold", 1),
        (33, "blasts-near-who-threshold", 2),
        (66, "blasts-over-who-threshold", 3),
        (200, "blasts-over-who-threshold", 3),
    ],
)
def test_blasts_raise_flags_and_urgency(blasts, code, urgency):
    summary = _summary({"blast": blasts, "lymphocyte": 200 - blasts})
    assert (_codes(summary)[:1], summary.urgency) == ([code] if code else [], urgency)


def test_a_flag_says_its_numbers():
    summary = _summary({"blast": 70, "lymphocyte": 130})
    blasts = summary.blasts
    assert _text(summary, "blasts-over-who-threshold") == (
        f"Blasts are {blasts.low:.1%} to {blasts.high:.1%} of the leukocytes (95 % interval, "
        f"estimate {blasts.fraction:.1%}), over the WHO threshold of 20 %."
    )


@pytest.mark.parametrize(("cells", "few"), [(99, True), (100, False)])
def test_a_differential_of_less_than_100_cells_is_flagged(cells, few):
    assert ("few-cells" in _codes(_summary({"lymphocyte": cells}))) is few


@pytest.mark.parametrize(("unsure", "many"), [(25, False), (26, True)])
def test_more_than_a_fifth_unclassified_is_flagged(unsure, many):
    summary = _summary({"lymphocyte": 100, "unclassified": unsure})
    assert ("many-unclassified" in _codes(summary)) is many


def test_a_bundle_that_nobody_judged_says_so():
    unjudged = roles(CELLS, None)
    assert "errors-unknown" in _codes(_summary({"lymphocyte": 150}, unjudged))
    assert "errors-unknown" not in _codes(_summary({"lymphocyte": 150}))


def test_each_bundle_gives_its_labels_their_roles_and_its_own_errors():
    counts = np.diag([500, 500, 500])
    names = ("myeloblast", "promonocyte", "lymphocyte")
    other = BundleRoles(
        True,
        names,
        frozenset({"myeloblast", "promonocyte"}),
        confusion=roles(names, np.c_[counts, [0, 0, 0]]).confusion,
    )
    tally = SlideTally(
        [
            _count("blast", 50),
            _count("lymphocyte", 50),
            _count("promonocyte", 30, bundle="b2"),
            _count("myeloblast", 20, bundle="b2"),
            _count("lymphocyte", 50, bundle="b2"),
        ],
        [FieldCount("1", "c", "e", 2)],
    )
    summary = summarise(tally, {"b1": _ROLES, "b2": other}, _ROLES)
    assert summary.blasts.cells == 100
    assert summary.blasts.fraction == pytest.approx(0.5, abs=0.02)
    shares = {share.label: share.cells for share in summary.differential}
    assert shares == {"blast": 50, "lymphocyte": 100, "myeloblast": 20, "promonocyte": 30}
    assert "mixed-models" in _codes(summary)


def test_the_roles_of_a_manifest_that_cannot_be_read_are_not_believed():
    assert roles_in({"bundle_id": "from-the-future"}) == _UNTRAINED
    stored = tiny_manifest({"net.onnx": b""}).model_dump(mode="json")
    assert roles_in(stored).blasts == {"blast"}
    assert roles_in(stored).leukocytes == ("blast", "lymphocyte")


def test_an_untrained_bundle_counts_and_does_not_classify():
    tally = SlideTally([_count("unclassified", 150, trained=False)], [])
    summary = summarise(tally, {"b1": _UNTRAINED}, _UNTRAINED)
    assert summary.cells_by_class == {"unclassified": 150}
    assert (summary.trained, summary.differential, summary.blasts) == (False, None, None)
    assert _codes(summary) == ["untrained-model"]
    text = "Cells are counted, not classified: this model is untrained."
    assert _text(summary, "untrained-model") == text


def test_a_label_from_an_untrained_bundle_is_not_believed():
    tally = SlideTally([_count("blast", 150, trained=False)], [])
    summary = summarise(tally, {"b1": _UNTRAINED}, _UNTRAINED)
    assert summary.cells_by_class == {"unclassified": 150}


@pytest.mark.parametrize("running", [_ROLES, _UNTRAINED])
def test_one_untrained_cell_takes_the_differential_away(running):
    counts = [_count("blast", 150), _count("unclassified", 1, bundle="b2", trained=False)]
    summary = summarise(SlideTally(counts, []), {"b1": _ROLES, "b2": _UNTRAINED}, running)
    assert (summary.trained, summary.differential, summary.blasts) == (False, None, None)
    assert _codes(summary) == ["untrained-model", "mixed-models"]


def test_a_slide_without_a_cell_still_has_a_result():
    for running in (_ROLES, _UNTRAINED):
        summary = summarise(SlideTally([], [FieldCount("1", "c", "e", 4)]), {}, running)
        assert (summary.fields, summary.cells, summary.differential) == (4, 0, None)
        assert _text(summary, "few-cells").startswith("0 white cells count in 4 fields")
        assert ("untrained-model" in _codes(summary)) is not running.trained


def test_a_slide_of_nothing_but_smudges_has_no_differential():
    summary = _summary({"smudge": 120})
    assert summary.differential is None
    assert summary.blasts is None


def test_a_result_names_what_made_it():
    tally = SlideTally(
        [_count("blast", 2, bundle="b2"), _count("blast", 1), _count("smudge", 4)],
        [FieldCount("1", "learned-1", "0.2.0", 1), FieldCount("1", "classical-1", "0.1.0", 2)],
    )
    made_by = summarise(tally, {"b1": _ROLES, "b2": _ROLES}, _ROLES).made_by
    assert [(used.sha256, used.cells) for used in made_by.bundles] == [("b1", 5), ("b2", 2)]
    assert made_by.finders == ("classical-1", "learned-1")
    assert made_by.edge_versions == ("0.1.0", "0.2.0")
    assert made_by.pixel_pipelines == ("1",)


def test_the_order_of_the_tally_changes_nothing():
    tally = tally_of({"blast": 3, "lymphocyte": 5, "smudge": 7})
    backwards = SlideTally(list(reversed(tally.cells)), tally.fields)
    first, second = (summarise(one, {"b1": _ROLES}, _ROLES) for one in (tally, backwards))
    assert first == second


def test_a_slide_that_was_more_urgent_says_why_it_stands_so_high():
    assert kept_urgency_flags(kept=2, result=2) == ()
    assert [flag.code for flag in kept_urgency_flags(kept=3, result=1)] == ["urgency-kept"]


def test_a_ledger_without_trouble_raises_no_flag():
    assert ledger_flags(captured=10, rejected=4, quarantined=0) == ()
    assert ledger_flags(captured=0, rejected=0, quarantined=0) == ()


def test_the_ledger_tells_of_quarantined_and_rejected_frames():
    flags = ledger_flags(captured=10, rejected=5, quarantined=1)
    assert [flag.code for flag in flags] == ["fields-quarantined", "many-rejected"]
    assert flags[0].text.startswith("1 of 10 frames")
