"""What hangs together through others is found whole, whatever the order of the pairs."""

from itertools import permutations

from hemaline_train.data.connected import first_connected


def test_a_thing_on_its_own_is_its_own_first():
    assert first_connected("ab", []) == {"a": "a", "b": "b"}


def test_a_chain_is_one_whatever_the_order_of_its_links():
    for links in permutations([("a", "d"), ("d", "c"), ("c", "b")]):
        assert first_connected("abcde", links) == {**dict.fromkeys("abcd", "a"), "e": "e"}


def test_the_first_is_the_first_in_the_given_order():
    assert first_connected("cba", [("a", "b"), ("c", "b")]) == dict.fromkeys("abc", "c")


def test_a_thing_that_is_given_twice_is_one():
    assert first_connected("aba", [("b", "a")]) == {"a": "a", "b": "a"}
