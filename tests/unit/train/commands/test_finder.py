"""`hemaline-train find-leukocytes` on a drawn data set."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from hemaline_train.cli import app


@pytest.fixture
def drawn_data(tmp_path: Path) -> Path:
    """One data set: a train image with a cell, a val image with a label where nothing is."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    image = np.full((300, 400, 3), (215, 220, 225), np.uint8)
    cv2.imwrite(str(folder / "empty.png"), image)
    cv2.circle(image, (200, 150), 50, (130, 40, 90), cv2.FILLED)
    cv2.imwrite(str(folder / "cell.png"), image)
    (folder / "manifest.tsv").write_text(
        "file\tsplit\tbbox\ncell.png\ttrain\tWBC:150,100,250,200\nempty.png\tval\tWBC:10,10,90,90\n"
    )
    return tmp_path


def _figures(data: Path, *arguments: str) -> dict[str, object]:
    target = data / "figures.json"
    result = CliRunner().invoke(
        app, ["find-leukocytes", "--data", str(data), "--json", str(target), *arguments]
    )
    assert result.exit_code == 0, result.output
    (report,) = json.loads(target.read_text())
    return report


def test_all_splits_are_measured_together(drawn_data):
    report = _figures(drawn_data)

    assert (report["images"], report["labelled"], report["found"]) == (2, 2, 1)
    assert report["centre"] == {"recall": 0.5, "precision": 1.0, "f1": pytest.approx(2 / 3)}
    assert report["iou_0.5"] == report["centre"]


def test_one_split_is_measured_alone(drawn_data):
    assert _figures(drawn_data, "--split", "train")["centre"]["recall"] == 1.0


def test_any_split_name_of_a_manifest_is_measured(drawn_data):
    manifest = drawn_data / "drawn" / "manifest.tsv"
    manifest.write_text(manifest.read_text().replace("val", "held out"))
    assert _figures(drawn_data, "--split", "held out")["images"] == 1
    assert _figures(drawn_data)["images"] == 2


def test_a_split_without_an_image_in_one_set_has_no_figures_there(drawn_data):
    shutil.copytree(drawn_data / "drawn", drawn_data / "other")
    manifest = drawn_data / "other" / "manifest.tsv"
    manifest.write_text(manifest.read_text().replace("val", "heldout"))
    target = drawn_data / "figures.json"
    command = ["find-leukocytes", "--data", str(drawn_data), "--split", "val"]
    result = CliRunner().invoke(app, [*command, "--json", str(target)])
    assert result.exit_code == 0, result.output
    _, report = json.loads(target.read_text())
    assert (report["images"], report["median_ms"], report["centre"]["f1"]) == (0, None, None)


def test_a_split_that_no_set_has_is_refused(drawn_data):
    command = ["find-leukocytes", "--data", str(drawn_data), "--split", "vall"]
    refused = CliRunner().invoke(app, command, terminal_width=200)
    assert refused.exit_code == 1
    assert "in a split called vall" in refused.output


def test_the_table_names_each_data_set(drawn_data):
    result = CliRunner().invoke(app, ["find-leukocytes"], env={"HEMALINE_DATA": str(drawn_data)})

    assert result.exit_code == 0
    assert "drawn" in result.output
    assert "0.667" in result.output


def test_an_unknown_data_set_ends_with_a_sentence_and_status_one(drawn_data):
    result = CliRunner().invoke(
        app, ["find-leukocytes", "--data", str(drawn_data), "--dataset", "nope"]
    )

    assert result.exit_code == 1
    assert "does not exist" in " ".join(result.output.split())


def test_an_image_that_is_none_is_named(drawn_data):
    (drawn_data / "drawn" / "cell.png").write_bytes(b"not an image")

    result = CliRunner().invoke(app, ["find-leukocytes", "--data", str(drawn_data)])

    assert result.exit_code == 1
    assert "cell.png" in result.output.replace("\n", "")
