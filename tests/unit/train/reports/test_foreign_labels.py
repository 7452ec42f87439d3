"""Labels of others' folders in a bundle's words."""

import pytest

from hemaline_train.data.tasks import ALL_SUBTYPE, CELL_CLASS, CELL_FINE
from hemaline_train.reports.foreign_labels import (
    NO_WHITE_CELL,
    in_words_of,
    judging_tasks,
    spelt,
    told,
)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("metamyelocyte", "immature-granulocyte"),
        ("neutrophil", "neutrophil"),
        ("Band neutrophils", "neutrophil"),
        ("IG", "immature-granulocyte"),
        ("NRBC", "erythroblast"),
        ("Lymphoblast", "blast"),
        ("platelet", "platelet"),
        ("hairy-cell", "hairy-cell"),
    ],
)
def test_a_coarse_task_takes_fine_labels_and_other_spellings(theirs, ours):
    assert in_words_of(CELL_CLASS, theirs) == ours


def test_a_fine_task_does_not_guess_what_is_finer():
    assert in_words_of(CELL_FINE, "neutrophil") == "neutrophil"


@pytest.mark.parametrize("word", sorted(NO_WHITE_CELL))
def test_what_is_no_white_cell_is_known_in_the_plural_too(word):
    assert spelt(word) in NO_WHITE_CELL
    assert word == "debris" or spelt(f"{word.title()}s") in NO_WHITE_CELL


def test_the_task_that_knows_most_labels_judges():
    tasks = (CELL_CLASS, CELL_FINE, ALL_SUBTYPE)
    assert judging_tasks(tasks, {"neutrophil", "metamyelocyte"}) == (CELL_CLASS,)
    assert judging_tasks(tasks, {"monocyte", "metamyelocyte"}) == (CELL_CLASS, CELL_FINE)
    assert judging_tasks(tasks, {"pro-b"}) == (ALL_SUBTYPE,)
    assert judging_tasks(tasks, {"cat"}) == ()


def test_what_is_left_out_is_told_by_its_reason():
    assert told({}, "ours-1") == ""
    assert told({"rbc": 2, "cat": 1}, "ours-1") == (
        "Left out: 2 of rbc (no white cells); 1 of cat (ours-1 was not taught that)."
    )
