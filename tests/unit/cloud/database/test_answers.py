"""Answers in two bytes a probability: what goes in comes out, to five decimals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaline_cloud.database.answers import AnswerLayout

MANIFEST = {
    "tasks": [
        {"name": "cell-class", "view": "cell", "labels": ["blast", "lymphocyte", "smudge"]},
        {"name": "all-subtype", "view": "field", "labels": ["benign", "pro-b"]},
        {"name": "apl", "labels": ["other", "APL"]},
    ],
    "networks": [
        {"name": "one", "calibration": {"apl": {"temperature": 2.0, "weight": 3.0}}},
        {"name": "two"},
    ],
}
CELLS = AnswerLayout.of(MANIFEST, "cell")
FIELDS = AnswerLayout.of(MANIFEST, "field")

BLAST = {"blast": 1, "lymphocyte": 0, "smudge": 0}
SAID = {"cell-class": {"one": BLAST, "two": BLAST}}

_share = st.floats(0, 1)


def _answer(*labels):
    shares = st.fixed_dictionaries(dict.fromkeys(labels, _share))
    return st.fixed_dictionaries({"one": shares, "two": shares})


@given(
    st.fixed_dictionaries(
        {"cell-class": _answer("blast", "lymphocyte", "smudge")},
        optional={"apl": _answer("other", "APL")},
    )
)
def test_what_was_said_is_read_again(said):
    read = CELLS.unpack(CELLS.pack(said))
    assert list(read) == [task for task in ("cell-class", "apl") if task in said]
    for task, networks in said.items():
        assert list(read[task]) == ["one", "two", "average"]
        for network, shares in networks.items():
            assert read[task][network] == pytest.approx(shares, abs=1.3e-5)


def test_the_average_follows_from_the_networks_weights():
    apl = {"one": {"other": 0.2, "APL": 0.8}, "two": {"other": 0.6, "APL": 0.4}}
    packed = CELLS.pack(SAID | {"apl": apl})
    assert CELLS.unpack(packed)["apl"]["average"] == {"other": 0.3, "APL": 0.7}
    assert CELLS.averages(packed, "apl") == {"other": 0.3, "APL": 0.7}
    assert CELLS.averages(packed, "cell-class")["blast"] == 1


def test_what_was_not_asked_takes_no_room_and_says_nothing():
    packed = CELLS.pack(SAID)
    assert len(packed) == 2 + 2 * 2 * 3
    assert CELLS.averages(packed, "apl") == {}
    assert FIELDS.unpack(FIELDS.pack({})) == {}


def test_a_label_that_was_not_said_is_a_defect_not_a_zero():
    with pytest.raises(KeyError):
        CELLS.pack({"cell-class": {"one": {"blast": 1}, "two": {"blast": 1}}})


def test_answers_packed_one_after_the_other_are_told_apart():
    shares = {"other": 0.2, "APL": 0.8}
    apl = {"apl": {"one": shares, "two": shares}}
    parts = [CELLS.pack(said) for said in (SAID, {}, SAID | apl, apl)]
    assert CELLS.split(b"".join(parts)) == parts
    assert CELLS.split(b"") == []


IN_TURN = AnswerLayout.of(MANIFEST | {"first_look": {"network": "two"}}, "cell")


def test_that_one_network_answered_alone_is_kept_with_what_it_said():
    alone = {"cell-class": {"two": BLAST, "average": BLAST}}
    packed = IN_TURN.pack(alone)
    assert len(packed) == 2 + 2 * 3
    assert IN_TURN.unpack(packed) == alone
    assert IN_TURN.averages(packed, "cell-class") == BLAST
    assert list(IN_TURN.unpack(IN_TURN.pack(SAID))["cell-class"]) == ["one", "two", "average"]
    parts = [IN_TURN.pack(said) for said in (alone, SAID, {}, alone)]
    assert IN_TURN.split(b"".join(parts)) == parts


def test_of_a_field_every_network_is_asked():
    assert AnswerLayout.of(MANIFEST | {"first_look": {"network": "two"}}, "field") == FIELDS


def test_or_one_alone_where_the_bundle_says_so():
    (task,) = [one for one in MANIFEST["tasks"] if one.get("view") == "field"]
    first = {"network": "two", "temperatures": {task["name"]: 1.0}}
    layout = AnswerLayout.of(MANIFEST | {"first_look": first}, "field")
    share = 1 / len(task["labels"])
    said = dict.fromkeys(task["labels"], round(share, 5))
    alone = {task["name"]: {"two": said, "average": said}}
    packed = layout.pack(alone)
    assert len(packed) == 2 + 2 * len(task["labels"])
    assert layout.unpack(packed) == alone
    # A bundle's earlier answers, which all networks gave, are read as they were.
    everybody = {task["name"]: {"one": said, "two": said, "average": said}}
    assert layout.unpack(layout.pack(everybody)) == everybody
