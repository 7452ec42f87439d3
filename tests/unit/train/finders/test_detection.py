"""Matching is one to one, the most confident first."""

import pytest

from hemaline_shared.pixels.types import Box, Leukocyte
from hemaline_train.finders.detection import (
    Rates,
    Tally,
    centre_inside,
    count_matches,
    overlap,
    rates,
    tally,
)


def _cell(left: int, top: int, right: int, bottom: int, confidence: float = 0.9) -> Leukocyte:
    return Leukocyte(Box(left, top, right, bottom), confidence)


def test_equal_boxes_overlap_fully():
    assert overlap(Box(0, 0, 10, 10), Box(0, 0, 10, 10)) == 1


def test_boxes_that_only_touch_do_not_overlap():
    assert overlap(Box(0, 0, 10, 10), Box(10, 0, 20, 10)) == 0


def test_half_a_box_shared_is_a_third_of_the_union():
    assert overlap(Box(0, 0, 10, 10), Box(5, 0, 15, 10)) == pytest.approx(1 / 3)


def test_a_centre_in_the_box_hits_without_overlap_enough():
    counts = tally([_cell(4, 4, 6, 6)], [Box(0, 0, 10, 10)])

    assert counts == Tally(images=1, labelled=1, found=1, centre_hits=1, overlaps=0)


def test_an_overlap_of_exactly_one_half_counts():
    assert tally([_cell(0, 0, 10, 5)], [Box(0, 0, 10, 10)]).overlaps == 1


def test_the_far_edge_of_a_box_is_outside_it():
    assert centre_inside(Box(9, 0, 11, 10), Box(0, 0, 10, 10)) is None
    assert centre_inside(Box(-1, 0, 1, 10), Box(0, 0, 10, 10)) is not None


def test_a_second_hit_on_the_same_cell_is_a_false_alarm():
    twice = [_cell(0, 0, 10, 10, 0.9), _cell(1, 1, 9, 9, 0.8)]

    counts = tally(twice, [Box(0, 0, 10, 10)])

    assert (counts.found, counts.centre_hits, counts.overlaps) == (2, 1, 1)


def test_a_found_box_takes_the_labelled_box_it_fits_best():
    nested = [Box(0, 0, 100, 100), Box(40, 40, 60, 60)]
    found = [_cell(40, 40, 60, 60, 0.9), _cell(0, 0, 100, 100, 0.8)]

    assert count_matches(found, nested, centre_inside) == 2


def test_the_more_confident_box_chooses_first():
    # Both centres lie in the left box, only the sure one's in the right box as well: it takes the
    # right one, which it fits better, and leaves the left one free.
    labelled = [Box(0, 0, 20, 10), Box(10, 0, 30, 10)]
    found = [_cell(0, 0, 10, 10, 0.5), _cell(9, 0, 29, 10, 0.9)]

    assert count_matches(found, labelled, centre_inside) == 2


def test_nothing_found_and_nothing_labelled_is_no_rate():
    assert rates(0, 0, 0) == Rates(None, None, None)


def test_a_false_alarm_on_an_empty_field_has_no_recall():
    assert rates(0, 0, 3) == Rates(None, 0.0, 0.0)


def test_rates_of_three_hits():
    result = rates(3, 4, 6)

    assert (result.recall, result.precision) == (0.75, 0.5)
    assert result.f1 == pytest.approx(0.6)


def test_tallies_add_up():
    assert Tally(1, 2, 3, 4, 5) + Tally(1, 1, 1, 1, 1) == Tally(2, 3, 4, 5, 6)
