"""The rules of patterns are a file that people change: what is wrong with it is said."""

import pytest

from hemaline_cloud.patterns.rules import SHIPPED, read_rules, shipped_rules
from hemaline_shared.errors import PermanentError

TEXT = SHIPPED.read_text("utf-8")


def test_the_shipped_rules_know_the_patterns_and_use_all_that_they_name():
    rules = shipped_rules().rules
    assert set(rules.patterns) == {
        "all",
        "aml",
        "apl",
        "cll",
        "cml",
        "normal",
        "reactive-lymphocytosis",
        "reactive-neutrophilia",
    }
    used = [one for pattern in rules.patterns.values() for one in pattern.criteria]
    assert set(rules.sources) == {source for criterion in used for source in criterion.sources}
    assert set(rules.measures) == {criterion.measure for criterion in used} - {None}


def test_rules_are_known_by_the_hash_of_their_file():
    assert shipped_rules().used.sha256 != read_rules(f"{TEXT}\n# north's\n").used.sha256
    assert read_rules(TEXT).used == shipped_rules().used


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (TEXT, "", "title: Field required"),
        ("title = ", "title == ", "Invalid value"),
        ('version = "1"', 'version = "1"\nverison = "2"', "verison: Extra inputs"),
        ("at_least = 0.20, source", "at_least = 20, source", "write 0.2 for 20 %"),
        ('open_source = "icc-2022"', 'open_source = "icc"', "aml: there is no source icc"),
        (', open_source = "icc-2022"', "", "open_from has its open_source"),
        ('{ measure = "blasts"', '{ measure = "blast"', "there is no measure blast"),
        ("open_from = 0.10", "open_from = 0.30", "open_from lies under at_least"),
        ('{ measure = "bands", at_least = 0.10,', '{ measure = "bands",', "at_least or below"),
        ('classes = ["basophil"]', 'classes = ["basofil"]', "measures.basophils.classes"),
        ('analyser = "wbc"', 'analyser = "wbc"\nin_volume = true', "stands alone"),
        ("at_least = 0.40, below", "at_least = nan, below", "finite number"),
        ("at_least = 0.40, below", "at_least = 0.90, below", "at_least lies under below"),
        ("# The patterns.", "#" * 100_000, "more than 100,000 characters"),
    ],
    ids=range(14),
)
def test_what_is_wrong_with_a_rule_file_is_said(old: str, new: str, why: str):
    assert old in TEXT
    with pytest.raises(PermanentError) as refused:
        read_rules(TEXT.replace(old, new, 1))
    assert refused.value.reason == "rules-unreadable"
    assert why in str(refused.value)
