"""A slide's result follows from its tally, and says no more than that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaline_cloud.database.summary import ledger_flags
from hemaline_cloud.database.tally import CellCount, FieldCount, SlideTally
from hemaline_cloud.inference.aggregate import LabelRoles, summarise, wilson

_ROLES = LabelRoles(True, frozenset({"blast"}), frozenset({"smudge", "erythroblast"}))
_UNTRAINED = LabelRoles(False, _ROLES.blasts, _ROLES.outside_differential)


def _count(label, cells, bundle="b1", trained=True):
    return CellCount(f"id-{bundle}", bundle, trained, label, cells)


def _tally(fields=3, **cells):
    counts = [_count(label.replace("_", "-"), number) for label, number in cells.items()]
    return SlideTally(counts, [FieldCount("1", "classical-1", "0.1.0", fields)])


def _codes(summary):
    return [flag.code for flag in summary.flags]


def _text(summary, code):
    return next(flag.text for flag in summary.flags if flag.code == code)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Published: Newcombe 1998, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_between_0_and_1(pair):
    successes, trials = pair
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


def test_the_differential_counts_leukocytes_only():
    summary = summarise(
        _tally(neutrophil=60, lymphocyte=40, smudge=30, erythroblast=5, unclassified=20), _ROLES
    )
    shares = {share.label: (share.cells, share.fraction) for share in summary.differential}
    assert shares == {"neutrophil": (60, 0.6), "lymphocyte": (40, 0.4)}
    assert summary.cells == 155
    assert summary.cells_by_class["smudge"] == 30


def test_blasts_are_held_against_both_thresholds():
    summary = summarise(_tally(blast=30, lymphocyte=170), _ROLES)
    assert summary.blasts.fraction == 0.15
    verdicts = {v.name: v.verdict for v in summary.blasts.thresholds}
    assert verdicts == {"WHO 2022": "undecided", "ICC 2022": "above"}


@pytest.mark.parametrize(
    ("blasts", "codes", "urgency"),
    [
        (0, [], 0),
        (1, ["blasts-present"], 1),
        (19, ["blasts-present"], 1),
        (20, ["blasts-over-icc-threshold", "blasts-present"], 2),
        (39, ["blasts-over-icc-threshold", "blasts-present"], 2),
        (40, ["blasts-over-who-threshold", "blasts-present"], 3),
        (200, ["blasts-over-who-threshold", "blasts-present"], 3),
    ],
)
def test_blasts_raise_flags_and_urgency(blasts, codes, urgency):
    summary = summarise(_tally(blast=blasts, lymphocyte=200 - blasts), _ROLES)
    assert (_codes(summary), summary.urgency) == (codes, urgency)


def test_a_flag_says_its_numbers():
    summary = summarise(_tally(blast=50, lymphocyte=150), _ROLES)
    assert _text(summary, "blasts-over-who-threshold") == (
        "Blasts are 25% of 200 leukocytes (95 % interval 20% to 31%): "
        "at or over the WHO threshold of 20 %."
    )


@pytest.mark.parametrize(("cells", "few"), [(99, True), (100, False)])
def test_a_differential_of_less_than_100_cells_is_flagged(cells, few):
    assert ("few-cells" in _codes(summarise(_tally(lymphocyte=cells), _ROLES))) is few


@pytest.mark.parametrize(("unsure", "many"), [(25, False), (26, True)])
def test_more_than_a_fifth_unclassified_is_flagged(unsure, many):
    summary = summarise(_tally(lymphocyte=100, unclassified=unsure), _ROLES)
    assert ("many-unclassified" in _codes(summary)) is many


def test_an_untrained_bundle_counts_and_does_not_classify():
    tally = SlideTally([_count("unclassified", 150, trained=False)], [])
    summary = summarise(tally, _UNTRAINED)
    assert summary.cells_by_class == {"unclassified": 150}
    assert (summary.trained, summary.differential, summary.blasts) == (False, None, None)
    assert _codes(summary) == ["untrained-model"]
    text = "Cells are counted, not classified: this model is untrained."
    assert _text(summary, "untrained-model") == text


def test_a_label_from_an_untrained_bundle_is_not_believed():
    tally = SlideTally([_count("blast", 150, trained=False)], [])
    assert summarise(tally, _UNTRAINED).cells_by_class == {"unclassified": 150}


@pytest.mark.parametrize("roles", [_ROLES, _UNTRAINED])
def test_one_untrained_cell_takes_the_differential_away(roles):
    counts = [_count("blast", 150), _count("unclassified", 1, bundle="b2", trained=False)]
    summary = summarise(SlideTally(counts, []), roles)
    assert (summary.trained, summary.differential, summary.blasts) == (False, None, None)
    assert _codes(summary) == ["untrained-model", "mixed-models"]


def test_a_slide_without_a_cell_still_has_a_result():
    for roles in (_ROLES, _UNTRAINED):
        summary = summarise(SlideTally([], [FieldCount("1", "c", "e", 4)]), roles)
        assert (summary.fields, summary.cells, summary.differential) == (4, 0, None)
        assert _text(summary, "few-cells").startswith("0 white cells in 4 fields")
        assert ("untrained-model" in _codes(summary)) is not roles.trained


def test_a_slide_of_nothing_but_smudges_has_no_differential():
    summary = summarise(_tally(smudge=120), _ROLES)
    assert summary.differential is None
    assert summary.blasts is None


def test_a_result_names_what_made_it():
    tally = SlideTally(
        [_count("blast", 2, bundle="b2"), _count("blast", 1), _count("smudge", 4)],
        [FieldCount("1", "learned-1", "0.2.0", 1), FieldCount("1", "classical-1", "0.1.0", 2)],
    )
    made_by = summarise(tally, _ROLES).made_by
    assert [(used.sha256, used.cells) for used in made_by.bundles] == [("b1", 5), ("b2", 2)]
    assert made_by.finders == ("classical-1", "learned-1")
    assert made_by.edge_versions == ("0.1.0", "0.2.0")
    assert made_by.pixel_pipelines == ("1",)


def test_the_order_of_the_tally_changes_nothing():
    tally = _tally(blast=3, lymphocyte=5, smudge=7)
    backwards = SlideTally(list(reversed(tally.cells)), tally.fields)
    assert summarise(tally, _ROLES) == summarise(backwards, _ROLES)


def test_a_ledger_without_trouble_raises_no_flag():
    assert ledger_flags(captured=10, rejected=4, quarantined=0) == ()
    assert ledger_flags(captured=0, rejected=0, quarantined=0) == ()


def test_the_ledger_tells_of_quarantined_and_rejected_frames():
    flags = ledger_flags(captured=10, rejected=5, quarantined=1)
    assert [flag.code for flag in flags] == ["fields-quarantined", "many-rejected"]
    assert flags[0].text.startswith("1 of 10 frames")
