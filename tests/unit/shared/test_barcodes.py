"""Codes are compared as scanners type them, and end as their site's codes do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaline_shared.barcodes import folded, has_right_check_digit
from hemaline_shared.errors import PermanentError

RIGHT = [
    ("luhn", "79927398713"),
    ("luhn", "4539148803436467"),
    ("iso-7064-mod-11-10", "794623"),
    ("iso-7064-mod-11-10", "002006673085"),
    ("iso-7064-mod-97-10", "9999123456789012141490"),
    ("iso-7064-mod-97-10", "WEST12345698765432GB82"),
    ("iso-7064-mod-97-10", "4354111611551114" + "31"),
    ("iso-7064-mod-37-2", "G123498654321H"),
    ("iso-7064-mod-37-36", "A12425GABC1234002M"),
]
"""Examples of the standards' users: payment cards, IBAN, ISBT 128, GRid and others."""


@pytest.mark.parametrize(("scheme", "code"), RIGHT)
def test_published_codes_are_right_and_one_wrong_digit_is_noticed(scheme, code):
    assert has_right_check_digit(code, scheme)
    for place, sign in enumerate(code):
        for other in "0123456789":
            if sign.isdigit() and other != sign:
                assert not has_right_check_digit(
                    f"{code[:place]}{other}{code[place + 1 :]}", scheme
                )


@pytest.mark.parametrize(("scheme", "code"), [one for one in RIGHT if one[0] != "luhn"])
def test_two_neighbours_that_changed_places_are_noticed(scheme, code):
    for place in range(len(code) - 1):
        left, right = code[place], code[place + 1]
        if left == right:
            continue
        swapped = f"{code[:place]}{right}{left}{code[place + 2 :]}"
        assert not has_right_check_digit(swapped, scheme), swapped


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_whatever_is_typed_gets_an_answer(code):
    assert has_right_check_digit(code.upper(), "none")
    for scheme, _ in RIGHT:
        assert has_right_check_digit(code.upper(), scheme) in {True, False}


@pytest.mark.parametrize(
    "typed", ["24-00012a", " 24-00012A\r\n", "]C124-00012A", "24-0001 2a", "\uff12\uff14-00012a"]
)
def test_one_code_is_the_same_however_it_is_typed(typed):
    assert folded(typed) == "24-00012A"


@pytest.mark.parametrize("typed", ["", "  ", "24\x001", "ä", "1" * 49])
def test_what_is_no_code_is_told(typed):
    with pytest.raises(PermanentError, match="This is no code") as refused:
        folded(typed)
    assert refused.value.reason == "barcode-unreadable"
