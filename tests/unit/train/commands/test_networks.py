"""`hemaline-train train`, `judge` and `classical`: mistakes on the command line."""

import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from typer.testing import CliRunner

from hemaline_train.classical.registry import SYSTEMS
from hemaline_train.cli import app
from parts.settings import FLAT_RUN


@pytest.fixture(autouse=True)
def _no_data_in_the_environment(monkeypatch):
    monkeypatch.delenv("HEMALINE_DATA", raising=False)


def run(*arguments):
    answer = CliRunner().invoke(app, [str(one) for one in arguments], terminal_width=200)
    return answer.exit_code, " ".join(answer.output.replace("│", " ").split())


def test_a_negative_fold_is_refused(tmp_path):
    (tmp_path / "run.toml").write_text(FLAT_RUN)
    status, output = run("train", tmp_path / "run.toml", "--data", tmp_path, "--fold", "-5")
    assert status == 2
    assert "'--fold'" in output


def test_a_device_that_there_is_not_ends_training_with_a_sentence(tmp_path):
    (tmp_path / "run.toml").write_text(FLAT_RUN)
    where = ("--data", tmp_path, "--runs", tmp_path)
    status, output = run("train", tmp_path / "run.toml", *where, "--device", "gpu")
    assert status == 1
    assert "There is no device 'gpu': say --device cpu or --device cuda." in output


def test_judging_something_else_ends_with_a_sentence(tmp_path):
    (tmp_path / "run.toml").write_text(FLAT_RUN)
    status, output = run("judge", tmp_path / "run.toml", "--data", tmp_path)
    assert status == 1
    assert "is not a checkpoint" in output


def test_the_list_of_systems_needs_no_data():
    status, output = run("classical", "list")
    assert status == 0
    assert all(f"{name}:" in output for name in SYSTEMS)


def test_a_system_needs_data_and_says_how_they_are_named():
    status, output = run("classical", "system-f-fab")
    assert status == 2
    assert "--data or HEMALINE_DATA" in output


def test_when_a_run_is_trained_the_next_commands_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("hemaline_train.learning.train.train", lambda *_: None)
    (tmp_path / "run.toml").write_text(FLAT_RUN)
    status, output = run("train", tmp_path / "run.toml", "--data", tmp_path, "--runs", "runs")
    assert status == 0
    name = output.partition(" is trained")[0].rpartition(" ")[2]
    assert f"hemaline-train judge runs/{name}/checkpoint.pt" in output
    assert f"hemaline-train export models/{name}-1 runs/{name}/checkpoint.pt" in output
