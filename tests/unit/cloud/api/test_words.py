from datetime import UTC, datetime, timedelta

import pytest

from hemaline_cloud.api.words import (
    ago,
    amount,
    at_most,
    chip,
    clock_off,
    explain,
    humanise,
    in_bytes,
    initials,
    percent,
)


def test_a_known_reason_says_what_to_do():
    assert explain("truncated").startswith("The image file ends too early")


def test_an_unknown_reason_is_shown_as_words():
    assert explain("too-few-red-cells") == "Too few red cells."


def test_a_flag_of_a_list_tells_its_number_where_whoever_asks_may_know_it():
    blasts = {"fraction": 0.52, "low": 0.318, "high": 0.72, "provisional": False}
    found = {"blasts": blasts, "apl": {"probability": 0.41}, "counting": {"unclassified": 16}}
    assert chip("blasts-over-who-threshold", found) == "Blasts 52% (32% to 72%)"
    provisional = {"blasts": blasts | {"provisional": True}}
    assert chip("blasts-provisional", provisional) == "Blasts 52% (32% to 72%), provisional"
    assert chip("apl-suspected", found) == "APL? 41%"
    assert chip("many-unclassified", found) == "16 unclassified"
    assert chip("few-cells", found) == "Few cells"
    assert [chip("apl-suspected", hidden) for hidden in (None, {"apl": None})] == ["APL?"] * 2


def test_a_class_is_written_as_people_write_it():
    assert humanise("immature-granulocyte") == "Immature granulocyte"


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=3), "3 d ago"),
    ],
)
def test_times_are_told_in_one_unit(passed: timedelta, words: str):
    assert ago(datetime.now(UTC) - passed - timedelta(milliseconds=100)) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 cells"), (1, "1 cell"), (12_345, "12,345 cells")]
)
def test_amounts_agree_with_their_noun(number: int, words: str):
    assert amount(number, "cell") == words


@pytest.mark.parametrize(
    ("fraction", "words"), [(0, "0%"), (0.004, "0.4%"), (0.0951, "9.5%"), (0.2, "20%"), (1, "100%")]
)
def test_small_shares_keep_a_decimal(fraction: float, words: str):
    assert percent(fraction) == words


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (2_400_000, "2.4 MB"), (3e12, "3 TB")]
)
def test_sizes_are_told_in_the_unit_that_fits(size: int, words: str):
    assert in_bytes(size) == words


def test_what_was_not_counted_to_its_end_says_so():
    assert [at_most(number, 1000) for number in (0, 999, 1000)] == ["0", "999", "1,000+"]


@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [
        (None, None),
        (-59, None),
        (61, "its clock is 1 minute ahead"),
        (-3 * 86_400, "its clock is 3 days behind"),
        (-56.4 * 365 * 86_400, "its clock is 56 years behind"),
    ],
)
def test_a_clock_that_is_off_is_told_in_the_unit_that_fits(ahead_s, words):
    assert clock_off(ahead_s) == words


@pytest.mark.parametrize(
    ("name", "letters"), [("Ada King Lovelace", "AL"), ("ben", "B"), ("", ""), ("  Élise ", "É")]
)
def test_somebody_is_known_by_two_letters_where_there_is_little_room(name: str, letters: str):
    assert initials(name) == letters
