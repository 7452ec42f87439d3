"""Cells that are the same form a group, however the pairs come; its first in capture counts."""

from itertools import permutations
from uuid import UUID

import pytest

from hemaline_cloud.inference.places import grouped

_A, _B, _C, _D = (UUID(int=number) for number in (4, 3, 2, 1))
_ORDERS = {_A: (1, UUID(int=9), 0), _B: (2, UUID(int=8), 0), _C: (3, UUID(int=7), 0)}
_ORDERS[_D] = (3, UUID(int=7), 1)


@pytest.mark.parametrize("pairs", list(permutations([(_C, _B), (_B, _A)])))
def test_a_chain_of_pairs_is_one_cell(pairs):
    assert grouped({}, pairs, _ORDERS) == {_A: _A, _B: _A, _C: _A}


def test_an_earlier_field_that_comes_late_takes_over():
    standing = {_B: _B, _C: _B}
    assert grouped(standing, [(_A, _C)], _ORDERS) == {_A: _A, _B: _A, _C: _A}


def test_two_groups_that_meet_become_one():
    standing = {_B: _B, _C: _B}
    assert grouped(standing, [(_A, _D), (_D, _C)], _ORDERS) == dict.fromkeys((_A, _B, _C, _D), _A)


def test_groups_that_do_not_meet_stay_apart():
    assert grouped({_A: _A, _C: _A}, [(_B, _D)], _ORDERS) == {_A: _A, _C: _A, _B: _B, _D: _B}
