"""Leave-one-laboratory-out: which sets are one laboratory, and that it never teaches."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from typer.testing import CliRunner

from hemaline_shared.errors import PermanentError
from hemaline_train.cli import app
from hemaline_train.data.tasks import ALL_SUBTYPE, CELL_CLASS
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.run import Places
from hemaline_train.reports import leave_one_out as module
from hemaline_train.reports.leave_one_out import laboratories, leave_one_out, mean_of

pytestmark = pytest.mark.xdist_group("torch")

LABELS = ("lymphocyte", "monocyte")


def config(*data_sets, **changes):
    settings = {
        "name": "one",
        "architecture": "resnet34",
        "tasks": {"cell-class": 1.0},
        "data_sets": dict.fromkeys(data_sets, 1.0),
        "input_px": 32,
        "epochs": 1,
        "draws_per_epoch": 8,
        "batch_size": 4,
    }
    return RunConfig.model_validate(settings | changes)


@pytest.fixture
def places(tmp_path):
    """Three laboratories with four cells each: blue lymphocytes and red monocytes."""
    dice = np.random.default_rng(0)
    for name in ("lmu-aml", "pbc-acevedo", "chula-wbc5"):
        folder = tmp_path / name
        folder.mkdir()
        boxed = name == "chula-wbc5"
        lines = ["file\tlabel\tsplit\tgroup" + "\tbbox" * boxed]
        for number in range(4):
            # Pictures that look the same on both sides of a split are refused.
            clouds = dice.integers(160, 250, (9, 9, 3)).astype(np.uint8)
            picture = cv2.resize(clouds, (224, 224), interpolation=cv2.INTER_CUBIC)
            colour = (200, 60, 60) if number % 2 == 0 else (60, 60, 200)
            cv2.circle(picture, (112, 112), 40 + 4 * number, colour, -1)
            cv2.imwrite(str(folder / f"{number}.png"), picture)
            split = "train" if number < 2 else "val"
            row = f"{number}.png\t{LABELS[number % 2]}\t{split}\tg{number}"
            lines.append(row + f"\t{LABELS[number % 2]}:72,72,152,152" * boxed)
        (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return Places(tmp_path, tmp_path / "cache", tmp_path / "runs")


def test_sets_of_the_same_patients_or_images_are_one_laboratory():
    run = config("aml-deepapl", "pbc-acevedo", "aml-deepapl-more", "txl-pbc", "all-taleqani")
    assert laboratories(run, CELL_CLASS) == {
        "aml-deepapl": ("aml-deepapl", "aml-deepapl-more"),
        "pbc-acevedo": ("pbc-acevedo", "txl-pbc"),
    }
    assert laboratories(run, ALL_SUBTYPE) == {"all-taleqani": ("all-taleqani",)}


def test_a_run_without_a_laboratory_has_none_of_its_sets_and_only_tasks_that_are_left():
    run = config("aml-deepapl", "aml-deepapl-more", "lmu-aml", tasks={"cell-class": 1, "apl": 1})
    left = run.without("aml-deepapl", ("aml-deepapl", "aml-deepapl-more"))
    assert left.name == "one.without-aml-deepapl"
    assert set(left.data_sets) == {"lmu-aml"}
    assert set(left.tasks) == {"cell-class"}


def test_teachers_too_are_those_that_never_saw_the_laboratory():
    run = config("lmu-aml", "chula-wbc5", teachers=("old",), starts_from="older")
    left = run.without("lmu-aml", ("lmu-aml",))
    assert left.teachers == ("old.without-lmu-aml",)
    assert left.starts_from == "older.without-lmu-aml"


def test_nothing_left_to_train_on_is_refused():
    with pytest.raises(PermanentError, match="no data set without lmu-aml"):
        config("lmu-aml").without("lmu-aml", ("lmu-aml",))


def test_a_laboratory_is_judged_by_a_network_that_never_saw_it(places, monkeypatch):
    run = config("lmu-aml", "pbc-acevedo", "chula-wbc5")
    taught = []
    train = module.train

    def watched(settings, *rest):
        taught.append(set(settings.data_sets))
        train(settings, *rest)

    monkeypatch.setattr(module, "train", watched)
    answers = module.trained_answers(run, CELL_CLASS, places, "cpu")
    (row,) = leave_one_out(run, CELL_CLASS, places, answers, only=["lmu-aml"], resamples=0)
    assert (row.data_set, row.split, row.n, row.trained_on) == ("lmu-aml", "all", 4, False)
    assert taught == [{"pbc-acevedo", "chula-wbc5"}]
    assert mean_of([row]) == row.served.value


def test_every_laboratory_is_left_out_once(places):
    run = config("lmu-aml", "pbc-acevedo", "chula-wbc5")
    asked = []

    def answers(laboratory, pixels):
        asked.append(laboratory)
        return np.full((len(pixels), len(CELL_CLASS.labels)), 1 / len(CELL_CLASS.labels))

    rows = list(leave_one_out(run, CELL_CLASS, places, answers, resamples=0))
    assert asked == [row.data_set for row in rows] == list(run.data_sets)


def test_a_laboratory_that_is_not_there_and_a_single_one_are_refused(places):
    run = config("lmu-aml", "pbc-acevedo")
    with pytest.raises(PermanentError, match="it has lmu-aml, pbc-acevedo") as refused:
        list(leave_one_out(run, CELL_CLASS, places, None, only=["mars"]))
    assert refused.value.reason == "unknown-laboratory"
    with pytest.raises(PermanentError, match="it takes two"):
        list(leave_one_out(config("lmu-aml"), CELL_CLASS, places, None))


def test_the_command_tells_rows_and_mean_by_frozen_features(places, tmp_path, monkeypatch):
    seen = []

    def colours(architecture, weights, pixels, side):
        seen.append(len(pixels))
        return pixels[:, 102:122, 102:122].mean(axis=(1, 2)).astype(np.float32)

    monkeypatch.setattr(module, "frozen_features", colours)
    run = config("lmu-aml", "pbc-acevedo", "chula-wbc5")
    sets = "\n".join(f"{name} = 1.0" for name in run.data_sets)
    text = (
        f'name = "one"\narchitecture = "resnet34"\n[tasks]\ncell-class = 1.0\n[data_sets]\n{sets}'
    )
    (tmp_path / "one.toml").write_text(text)
    file = tmp_path / "rows.json"
    arguments = ["leave-one-out", tmp_path / "one.toml", "--data", places.data, "--frozen"]
    arguments += ["--cache", places.cache, "--json", file, "--resamples", "0"]
    done = CliRunner().invoke(app, list(map(str, arguments)), terminal_width=200)
    assert done.exit_code == 0, done.output
    assert "Mean over 3 laboratories: 1.000" in done.output
    told = json.loads(file.read_text())
    assert told["mean"] == 1.0
    assert [row["data_set"] for row in told["laboratories"]] == list(run.data_sets)
    assert seen == [4, 4, 4]
