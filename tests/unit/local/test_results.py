"""The sums that the one-machine commands print and write."""

import pytest

from hemaline_local.demo import Outcome, verdict
from hemaline_local.results import Counts, SlideReport, summary, total

VIEW = {
    "slide_id": "01900000-0000-7000-8000-00000000abcd",
    "accession": "S-0000ABCD",
    "device": "scope-1",
    "state": "complete",
    "counts": {"captured": 5, "pending": 0, "with_result": 3, "rejected": 1, "quarantined": 1},
    "cells_by_class": {"unclassified": 7},
    "flags": [{"code": "few-cells", "text": "…"}],
    "revision": 3,
}
WHOLE = SlideReport.of(VIEW, "folder-a", captured=5)
ONE_MISSING = SlideReport.of(VIEW, "folder-b", captured=6)
ONE_TWICE = SlideReport.of(VIEW, "folder-c", captured=4)


def test_a_report_joins_the_agents_count_with_the_clouds():
    assert WHOLE.counts == Counts(captured=5, rejected=1, quarantined=1, with_result=3)
    assert WHOLE.cells == 7
    assert WHOLE.complete


def test_a_slide_that_nothing_arrived_of_is_not_complete():
    report = SlideReport.unseen("id", "S-1", "folder", "scope-1", captured=2)
    assert not report.complete
    assert report.counts.unsettled == 2


@pytest.mark.parametrize(
    ("reports", "whole"),
    [([WHOLE], True), ([WHOLE, ONE_MISSING], False), ([ONE_TWICE], False), ([], False)],
)
def test_only_equal_counts_are_whole(reports, whole):
    assert Outcome(reports).whole is whole


def test_a_missing_frame_and_a_doubled_one_do_not_cancel_out():
    assert total([ONE_MISSING, ONE_TWICE]).unsettled == 0
    assert not Outcome([ONE_MISSING, ONE_TWICE]).whole


@pytest.mark.parametrize(
    ("reports", "sentence"),
    [
        ([WHOLE], "Nothing lost"),
        ([ONE_MISSING], "1 unsettled"),
        ([], "No image was captured"),
    ],
)
def test_the_verdict_says_which(reports, sentence):
    assert sentence in verdict(Outcome(reports))


def test_the_summary_has_the_sums_and_each_slide():
    written = summary([WHOLE])
    sums = {name: written[name] for name in ("captured", "rejected", "quarantined", "with_result")}
    assert sums == {"captured": 5, "rejected": 1, "quarantined": 1, "with_result": 3}
    (slide,) = written["slides"]
    assert slide["id"] == VIEW["slide_id"]
    assert slide["cells_by_class"] == {"unclassified": 7}
    assert slide["flags"] == ["few-cells"]
    assert {name: slide[name] for name in sums} == sums
