"""A policy names the cells that must be seen, and nobody chooses those that are drawn by lot."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from hemaline_cloud.review.policy import (
    DEFAULT_POLICY,
    JudgedCell,
    MachineRule,
    ReviewPolicy,
    cells_to_see,
    is_drawn,
)


def cell(number, *called, probability=0.99, disagreeing=False):
    return JudgedCell(UUID(int=number), frozenset(called), probability, disagreeing)


NONE_BY_LOT = ReviewPolicy(others=0)


@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (cell(1, "blast"), "class"),
        (cell(1, "unclassified", probability=0.4), "class"),
        (cell(1, "lymphocyte", "promyelocyte"), "class"),
        (cell(1, "neutrophil", probability=0.69), "doubt"),
        (cell(1, "neutrophil", probability=None), "doubt"),
        (cell(1, "neutrophil", disagreeing=True), "disagreement"),
        (cell(1, "neutrophil", probability=0.7), None),
    ],
)
def test_a_cell_must_be_seen_for_what_it_is_called_and_for_doubt(judged, reason):
    assert cells_to_see(NONE_BY_LOT, [judged], "a").get(judged.cell_id) == reason


def test_others_are_drawn_by_lot_and_the_same_lot_draws_the_same():
    cells = [cell(number, "neutrophil") for number in range(100)]
    drawn = cells_to_see(DEFAULT_POLICY, cells, "slide 1")
    assert len(drawn) == 10
    assert set(drawn.values()) == {"lot"}
    assert drawn == cells_to_see(DEFAULT_POLICY, cells, "slide 1")
    assert set(drawn) != set(cells_to_see(DEFAULT_POLICY, cells, "slide 2"))


def test_a_slide_with_few_others_wants_all_of_them():
    cells = [cell(number, "neutrophil") for number in range(3)]
    assert len(cells_to_see(DEFAULT_POLICY, cells, "a")) == 3


def test_a_policy_may_not_ask_without_classes_that_exist():
    with pytest.raises(ValidationError):
        ReviewPolicy(classes=("blasts",))


def test_a_site_that_says_nothing_shows_the_machine_at_once():
    assert ReviewPolicy.model_validate({}).machine == MachineRule(order="at-once")


def test_a_lot_wants_a_seed():
    with pytest.raises(ValidationError, match="a lot needs a seed"):
        MachineRule(order="by-lot")


def test_the_lot_draws_about_its_share_and_the_same_again():
    slides = [UUID(int=number) for number in range(1000)]
    drawn = [slide for slide in slides if is_drawn("a seed", slide, 0.3)]
    assert 250 < len(drawn) < 350
    assert drawn == [slide for slide in slides if is_drawn("a seed", slide, 0.3)]
    assert drawn != [slide for slide in slides if is_drawn("another", slide, 0.3)]
    assert set(drawn) < {slide for slide in slides if is_drawn("a seed", slide, 0.6)}
