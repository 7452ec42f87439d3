"""`hemaline-train data review`: sheets to look at, a table for verdicts, answers apart."""

import csv

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from typer.testing import CliRunner

from hemaline_train.cli import app
from hemaline_train.learning.efficientnet_lite import Lite0Features, Lite2Features
from hemaline_train.learning.frozen import WEIGHTS
from hemaline_train.reports import review_sheets

LABELS = ("lymphocyte", "monocyte", "blast")


@pytest.fixture
def data(tmp_path):
    """Return a directory with a set of 24 cells of eight patients: blue and red ones, one odd."""
    folder = tmp_path / "data" / "ours"
    folder.mkdir(parents=True)
    lines = ["file\tlabel\tsplit\tgroup"]
    dice = np.random.default_rng(0)
    for number in range(24):
        blue = number % 2 == 0
        picture = dice.integers(200, 240, (224, 224, 3)).astype(np.uint8)
        cv2.circle(picture, (112, 112), 50, (180, 60, 60) if blue else (60, 60, 180), -1)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        label = "monocyte" if number == 6 else LABELS[0] if blue else LABELS[1]
        lines.append(f"{number}.png\t{label}\ttrain\tP{number // 3}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for file, build in zip(WEIGHTS.values(), (Lite0Features, Lite2Features), strict=True):
        torch.save(build().state_dict(), folder / file)
    return folder


def review(data, out, *options):
    where = ("--data", data, "--out", out, "--cache", data / "cache", "--um-per-px", "0.1")
    arguments = ["data", "review", "ours", *map(str, (*where, *options))]
    return CliRunner().invoke(app, arguments, terminal_width=200)


def table(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def test_every_picture_of_a_label_is_laid_out_without_asking_a_network(data, tmp_path):
    done = review(data, tmp_path / "out", "--label", "monocyte")
    assert done.exit_code == 0, done.output
    assert "13 pictures on 1 sheets" in done.output
    rows = table(tmp_path / "out" / "review.tsv")
    assert [row["number"] for row in rows] == [str(n) for n in range(13)]
    assert {row["label"] for row in rows} == {"monocyte"}
    assert {row["verdict"] for row in rows} == {""}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "review.tsv",
        "sheet-0000.png",
    ]


def test_what_the_networks_doubt_is_laid_out_and_their_answers_lie_apart(
    data, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(review_sheets, "_SEEN_PX", 64)
    done = review(data, tmp_path / "out", "--weights", weights)
    assert done.exit_code == 0, done.output
    rows, answers = (table(tmp_path / "out" / f"{name}.tsv") for name in ("review", "answers"))
    assert "6.png" in [row["file"] for row in rows]
    assert set(rows[0]) & set(answers[0]) == {"number"}
    said = {row["file"]: answer for row, answer in zip(rows, answers, strict=True)}["6.png"]
    assert {said[network] for network in WEIGHTS} == {"lymphocyte"}


def test_a_filled_table_is_honoured_and_its_pictures_are_not_shown_again(data, tmp_path):
    review(data, tmp_path / "out", "--label", "monocyte")
    filled = (tmp_path / "out" / "review.tsv").read_text().splitlines()
    looked = ["drop\t\tno cell\tsomebody" for _ in filled[2:]]
    rows = [line.rstrip("\t") + "\t" + said for line, said in zip(filled[2:], looked, strict=True)]
    (data / "ours" / "label_review.tsv").write_text("\n".join([*filled[:2], *rows]) + "\n")
    again = review(data, tmp_path / "again", "--label", "monocyte")
    assert "1 pictures on 1 sheets" in again.output


def test_a_folder_that_has_a_review_is_not_written_over(data, tmp_path):
    review(data, tmp_path / "out", "--label", "monocyte")
    refused = review(data, tmp_path / "out", "--label", "lymphocyte")
    assert refused.exit_code == 1
    assert "is there already" in " ".join(refused.output.split())


def test_nothing_left_to_look_at_is_said(data, tmp_path):
    refused = review(data, tmp_path / "out", "--label", "basophil")
    assert refused.exit_code == 1
    assert "No picture is left to look at" in refused.output


def test_without_weights_the_doubts_cannot_be_had(data, tmp_path):
    refused = review(data, tmp_path / "out")
    assert refused.exit_code == 1
    assert "--weights" in refused.output
