"""The catalogue's entries agree with each other and with what they read of a manifest."""

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_train.data.catalogue import KNOWN, refuse_known_name

known_sets = pytest.mark.parametrize("name", KNOWN)


@known_sets
def test_a_set_with_the_same_images_is_known_and_says_so_too(name):
    for other in KNOWN[name].same_images_as:
        assert other != name
        assert name in KNOWN[other].same_images_as


def test_sets_that_their_traps_keep_apart_hold_the_same_images():
    pairs = {(name, other) for name, one in KNOWN.items() for other in one.same_images_as}
    assert {(a, b) for a, b in pairs if a < b} == {
        ("all-idb1", "all-idb2"),
        ("all-taleqani", "aria-all"),
        ("aml-lmu", "lmu-aml"),
        ("bloodmnist", "pbc"),
        ("bloodmnist", "pbc-acevedo"),
        ("bloodmnist", "txl-pbc"),
        ("pbc", "pbc-acevedo"),
        ("pbc", "txl-pbc"),
        ("pbc-acevedo", "txl-pbc"),
        ("raabin-wbc", "txl-pbc"),
    }


@known_sets
def test_no_column_is_read_that_is_not_declared(name):
    one = KNOWN[name]
    declared = dict.fromkeys((*one.group_columns, *one.further_columns), "1")
    for label in {label for task in one.tasks for label in task.labels} | {"anything"}:
        row = declared | {"label": label} | ({"class": label} if one.class_file else {})
        one.labels_of(row)
        one.um_per_px(row)


@known_sets
def test_a_lab_s_own_folder_has_no_known_set_s_name(name, tmp_path):
    with pytest.raises(PermanentError, match="another name") as refused:
        refuse_known_name(tmp_path / "x" / ".." / name)
    assert refused.value.reason == "folder-name"


def test_a_lab_s_own_folder_has_any_other_name(tmp_path):
    refuse_known_name(tmp_path / "our-lab")


@known_sets
def test_further_cells_belong_to_a_known_set_with_the_same_groups(name):
    one = KNOWN[name]
    assert KNOWN[one.home].group_columns == one.group_columns
    assert not KNOWN[one.home].further_of
