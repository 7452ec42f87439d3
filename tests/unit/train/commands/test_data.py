"""`hemaline-train data`: what is listed, adopted and checked, as a user sees it."""

import pytest

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from typer.testing import CliRunner

from drawn_public_sets import draw
from hemaline_train.cli import app
from hemaline_train.data.catalogue import KNOWN


def run(*arguments):
    return CliRunner().invoke(app, ["data", *map(str, arguments)], terminal_width=200)


@pytest.fixture
def all_idb2(tmp_path):
    for number in range(24):
        draw(tmp_path / "all-idb2" / f"Im{number:03d}_{number % 2}.tif", seed=number)
    return tmp_path / "all-idb2"


def test_the_list_names_every_set_with_its_licence_source_and_traps():
    answer = run("list").output
    for name in KNOWN:
        assert f"{name}:" in answer
    assert answer.count("licence:") == answer.count("traps:") == len(KNOWN)


def test_the_list_says_which_question_has_no_data():
    answer = run("list").output
    assert "leukaemia (healthy, ALL, AML, CLL, CML): no training data" in answer


def test_a_public_set_is_adopted_then_checked(all_idb2, tmp_path):
    adopted = run("adopt", all_idb2, "--as", "all-idb2")
    assert adopted.exit_code == 0
    assert "val ALL: 12 images" in adopted.output
    assert "No patients are published" in adopted.output
    checked = run("check", "all-idb2", "--data", tmp_path, "--cache", tmp_path / "cache")
    assert checked.exit_code == 0, checked.output
    assert "all-cell from the colour statistics alone" in checked.output


@pytest.mark.parametrize("options", [[], ["--as", "all-idb2", "--group", "(.)"]])
def test_a_folder_is_either_a_lab_s_own_or_a_public_set(all_idb2, options):
    assert run("adopt", all_idb2, *options).exit_code == 2
    assert not (all_idb2 / "manifest.tsv").exists()


def test_what_does_not_fit_is_said_in_a_sentence(all_idb2):
    refused = run("adopt", all_idb2, "--as", "pbc")
    assert refused.exit_code == 1
    assert "Rename" in refused.output


def test_a_lab_s_own_set_is_checked_too(tmp_path):
    for number in range(32):
        kind = ("blast", "lymphocyte")[number % 2]
        draw(tmp_path / "our-lab" / kind / f"P{number // 2}_{number}.png", number, 224)
    assert run("adopt", tmp_path / "our-lab", "--group", "^([^_]+)_").exit_code == 0
    where = ("--data", tmp_path, "--cache", tmp_path / "cache")
    checked = run("check", "our-lab", *where, "--um-per-px", "0.1")
    assert checked.exit_code == 0, checked.output
    assert "label from the colour statistics alone" in checked.output
    prepared = run("prepare", "our-lab", *where, "--um-per-px", "0.1", "--view", "field")
    assert "our-lab: 32 crops" in prepared.output


def test_a_folder_that_is_not_there_is_told_with_those_that_are_known(tmp_path):
    refused = run("check", "our-lab", "--data", tmp_path)
    assert refused.exit_code == 1
    assert "no folder of that name" in refused.output
    assert "aml-deepapl" in refused.output
