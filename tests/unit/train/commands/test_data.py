"""`hemaline-train data`: what is listed, adopted and checked, as a user sees it."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from typer.testing import CliRunner

from drawn_public_sets import draw
from hemaline_train.cli import app
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.lab_data import side_of


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
        draw(tmp_path / "our-lab" / kind / f"P{number // 2}_{number}.png", number, 300)
    adopted = run("adopt", tmp_path / "our-lab", "--group", "^([^_]+)_")
    assert adopted.exit_code == 0
    folder = tmp_path / "our-lab"
    assert f"hemaline-train adapt {folder} models/our-lab-1 --from BUNDLE" in adopted.output
    where = ("--data", tmp_path, "--cache", tmp_path / "cache")
    checked = run("check", "our-lab", *where, "--um-per-px", "0.1")
    assert checked.exit_code == 0, checked.output
    assert "label from the colour statistics alone: balanced accuracy" in checked.output
    verdicts = ("Harmless", "Noteworthy", "Suspicious", "Cannot be judged")
    assert sum(checked.output.count(verdict) for verdict in verdicts) == 3
    assert "(-" not in checked.output
    prepared = run("prepare", "our-lab", *where, "--um-per-px", "0.1", "--view", "field")
    assert "our-lab: 32 crops" in prepared.output
    cells, fields = (np.load(file) for file in by_age(tmp_path / "cache"))
    assert fields.shape == cells.shape
    assert not any(np.array_equal(*pair) for pair in zip(cells, fields, strict=True))


def by_age(cache):
    return sorted(cache.glob("*.npy"), key=lambda file: file.stat().st_mtime_ns)


def own_folder(root, *names):
    for seed, name in enumerate(names):
        draw(root / "our-lab" / name, seed)
    return root / "our-lab"


def test_how_each_class_falls_is_shown(tmp_path):
    names = [f"{kind}/P{number}_1.png" for kind in ("ALL", "healthy") for number in range(20)]
    answer = run("adopt", own_folder(tmp_path, *names), "--group", "^([^_]+)_")
    judged = sum(side_of(f"P{number}", 0.2) == "val" for number in range(20))
    assert answer.output.splitlines()[:-1] == [
        f"{kind}: {20 - judged} pictures of {20 - judged} patients train, "
        f"{judged} pictures of {judged} patients judge"
        for kind in ("ALL", "healthy")
    ]


def test_a_class_that_nobody_judges_is_told_but_not_refused(tmp_path):
    trained = next(f"P{number}" for number in range(99) if side_of(f"P{number}", 0.2) == "train")
    folder = own_folder(tmp_path, f"ALL/{trained}_1.png")
    answer = run("adopt", folder, "--group", "^([^_]+)_")
    assert answer.exit_code == 0
    assert "ALL has no patient that judges" in answer.output
    assert (folder / "manifest.tsv").exists()


@pytest.mark.parametrize(("share", "side"), [("0", "train"), ("1", "judge")])
def test_who_asks_for_one_side_only_is_not_warned(tmp_path, share, side):
    folder = own_folder(tmp_path, "ALL/P1_1.png")
    answer = run("adopt", folder, "--group", "^([^_]+)_", "--val-share", share)
    assert f"1 picture of 1 patient {side}" in answer.output
    assert "has no patient" not in answer.output


@pytest.mark.parametrize("share", ["7", "-0.1"])
def test_a_share_beyond_all_or_below_none_is_refused(tmp_path, share):
    folder = own_folder(tmp_path, "ALL/P1_1.png")
    assert run("adopt", folder, "--group", "^([^_]+)_", "--val-share", share).exit_code == 2
    assert not (folder / "manifest.tsv").exists()


@pytest.mark.parametrize(("name", "advice"), [("pbc", "--as pbc"), ("aml-deepapl", "another name")])
def test_a_lab_s_own_folder_may_not_be_called_like_a_known_set(tmp_path, name, advice):
    folder = own_folder(tmp_path, "ALL/P1_1.png").rename(tmp_path / name)
    refused = run("adopt", folder, "--group", "^([^_]+)_")
    assert refused.exit_code == 1
    assert advice in " ".join(refused.output.split())
    assert not (folder / "manifest.tsv").exists()


@pytest.mark.parametrize(
    ("folder", "group", "said"),
    [
        ("nowhere", "^([^_]+)_", "is no folder"),
        ("our-lab", "^([^_]+_", "no regular expression"),
        ("our-lab", "^(X)?", "finds no patient"),
    ],
)
def test_what_cannot_be_adopted_is_said_in_a_sentence(tmp_path, folder, group, said):
    own_folder(tmp_path, "ALL/P1_1.png")
    refused = run("adopt", tmp_path / folder, "--group", group)
    assert refused.exit_code == 1
    assert said in " ".join(refused.output.split())


def test_a_folder_that_is_not_there_is_told_with_those_that_are_known(tmp_path):
    refused = run("check", "our-lab", "--data", tmp_path)
    assert refused.exit_code == 1
    assert "no folder of that name" in refused.output
    assert "aml-deepapl" in refused.output
