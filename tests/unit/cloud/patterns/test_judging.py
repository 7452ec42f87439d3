"""A threshold holds or fails where the whole interval lies on one side; else a pattern may fit."""

import pytest

from hemaline_cloud.orders.order import BloodCount
from hemaline_cloud.patterns.counted import ReadCount
from hemaline_cloud.patterns.judging import judge
from hemaline_cloud.patterns.rules import read_rules

RULES = read_rules(
    """
title = "Rules of a test"
version = "1"
least_cells = 50
provisional_below = 100

[sources]
book = "A book"

[measures]
blasts = { name = "Blasts", classes = ["blast"] }
basophils = { name = "Basophils", classes = ["basophil"] }
monocytes = { name = "Monocytes", classes = ["monocyte"] }
lymphocytes = { name = "Lymphocytes", classes = ["lymphocyte"], in_volume = true }
haemoglobin = { name = "Haemoglobin", analyser = "hb" }

[patterns.many]
name = "Many blasts"
missing = ["Bone marrow"]
supports = [{ measure = "haemoglobin", below = 100, source = "book" }]
against = [{ measure = "basophils", at_least = 0.1, source = "book" }]
[[patterns.many.needs]]
any_of = [
  { measure = "blasts", at_least = 0.2, source = "book", open_from = 0.1, open_source = "book" },
]

[patterns.between]
name = "Monocytes between"
needs = [{ any_of = [{ measure = "monocytes", at_least = 0.2, below = 0.8, source = "book" }] }]

[patterns.asked]
name = "Asked"
[[patterns.asked.needs]]
any_of = [
  { measure = "blasts", at_least = 0.2, source = "book" },
  { measure = "basophils", at_least = 0.2, source = "book" },
]
[[patterns.asked.needs]]
any_of = [
  { measure = "monocytes", at_least = 0.9, source = "book" },
  { ask = "Markers", source = "book" },
]

[patterns.volume]
name = "Many lymphocytes"
needs = [{ any_of = [{ measure = "lymphocytes", at_least = 5, source = "book" }] }]
"""
).rules


def fitted(name: str, blood_count: BloodCount | None = None, **counts: int):
    told = judge(RULES, ReadCount(counts, sum(counts.values())), blood_count or BloodCount())
    return next(one for one in told.patterns if one.pattern == name)


@pytest.mark.parametrize(
    ("blasts", "verdict"),
    [(60, "fits"), (40, "may-fit"), (30, "may-fit"), (15, "may-fit"), (8, "does-not-fit")],
)
def test_a_pattern_fits_by_the_whole_interval_alone(blasts: int, verdict: str):
    assert fitted("many", blast=blasts, monocyte=200 - blasts).verdict == verdict


def test_reasons_name_what_was_counted_what_is_wanted_and_who_says_so():
    found = fitted("many", blast=60, monocyte=140)
    (reason,) = found.speaks_for
    assert (reason.name, reason.wanted, reason.source) == (
        "Blasts",
        "20% or more, open from 10%",
        "A book; A book",
    )
    assert reason.low == pytest.approx(0.241, abs=0.001)
    assert found.missing == ("Haemoglobin: not known", "Bone marrow")
    (reason,) = fitted("many", blast=8, monocyte=192).speaks_against
    assert reason.state == "fails"


@pytest.mark.parametrize(("basophils", "names"), [(60, "speaks_against"), (20, "undecided")])
def test_what_speaks_against_it_or_may_do_so_leaves_it_at_may_fit(basophils: int, names: str):
    found = fitted("many", blast=100, basophil=basophils, monocyte=100 - basophils)
    assert found.verdict == "may-fit"
    assert [reason.name for reason in getattr(found, names)] == ["Basophils"]


@pytest.mark.parametrize(
    ("monocytes", "verdict"),
    [(100, "fits"), (40, "may-fit"), (160, "may-fit"), (10, "does-not-fit"), (199, "does-not-fit")],
)
def test_a_range_holds_where_the_whole_interval_lies_in_it(monocytes: int, verdict: str):
    found = fitted("between", monocyte=monocytes, lymphocyte=200 - monocytes)
    assert found.verdict == verdict


def test_one_of_several_criteria_is_enough_and_a_question_stays_open():
    found = fitted("asked", basophil=100, lymphocyte=100)
    assert found.verdict == "may-fit"
    assert [reason.name for reason in found.speaks_for] == ["Basophils"]
    assert [reason.name for reason in found.undecided] == ["Markers"]
    assert fitted("asked", blast=100, monocyte=0, lymphocyte=100).verdict == "may-fit"
    assert fitted("asked", lymphocyte=200).verdict == "does-not-fit"


@pytest.mark.parametrize(
    ("value", "unit", "verdict"),
    [
        (20, "10*9/L", "fits"),
        (20, "10*3/uL", "fits"),
        (20_000, "/uL", "fits"),
        (10, "10*9/L", "may-fit"),
        (4, "10*9/L", "does-not-fit"),
    ],
)
def test_cells_in_a_volume_are_the_share_times_the_orders_white_cells(value, unit, verdict):
    count = BloodCount.model_validate({"wbc": {"value": value, "unit": unit}})
    assert fitted("volume", count, lymphocyte=100, monocyte=100).verdict == verdict


def test_without_a_blood_count_it_may_fit_and_says_what_is_missing():
    found = fitted("volume", lymphocyte=100, monocyte=100)
    assert (found.verdict, found.missing) == ("may-fit", ("Lymphocytes: not known",))


@pytest.mark.parametrize(("value", "unit"), [(90, "g/L"), (9, "g/dL"), (5.5, "mmol/L")])
def test_haemoglobin_is_held_against_grams_in_a_litre(value: float, unit: str):
    count = BloodCount.model_validate({"hb": {"value": value, "unit": unit}})
    found = fitted("many", count, blast=100, monocyte=100)
    assert [reason.name for reason in found.speaks_for] == ["Blasts", "Haemoglobin"]


@pytest.mark.parametrize(
    ("cells", "people", "silent", "provisional"),
    [
        (49, 49, "too-few-cells", True),
        (50, 50, None, True),
        (99, 99, None, True),
        (100, 100, None, False),
        (400, 99, None, True),
        (400, 100, None, False),
    ],
)
def test_few_cells_say_nothing_and_under_a_hundred_all_is_provisional(
    cells: int, people: int, silent: str | None, provisional: bool
):
    told = judge(RULES, ReadCount({"blast": cells}, people), BloodCount())
    assert (told.silent, told.provisional) == (silent, provisional)
    assert bool(told.patterns) is (silent is None)


def test_without_a_class_nothing_is_said():
    assert judge(RULES, None, BloodCount()).silent == "not-classified"
    assert judge(RULES, ReadCount({"smudge": 300}, 300), BloodCount()).silent == "not-classified"


def test_those_that_fit_come_first():
    told = judge(RULES, ReadCount({"blast": 100, "monocyte": 100}, 200), BloodCount())
    assert [one.verdict for one in told.patterns] == ["fits", "fits", "may-fit", "may-fit"]
    assert [one.pattern for one in told.fitting][:2] == ["many", "between"]
