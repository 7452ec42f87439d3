"""Every system runs by name on drawn data, and the table has a row for each."""

import json
from dataclasses import replace
from functools import partial

import pytest
from typer.testing import CliRunner

from drawn_sets import draw_all_sets

pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")
pytest.importorskip("skimage", reason="make setup-train brings skimage")

from hemaline_shared.errors import PermanentError
from hemaline_train.classical import faster_rcnn, leukaemia_types, small_cnn
from hemaline_train.classical.bench import Bench
from hemaline_train.classical.leaderboard import FIGURES, PAGE, build_leaderboard
from hemaline_train.classical.leaderboard_page import COLUMNS
from hemaline_train.classical.registry import SYSTEMS, known_system
from hemaline_train.classical.report import Report, read_report
from hemaline_train.classical.system import System, run_system
from hemaline_train.cli import app

# One process builds the table for all of them: 40 s of a core.
pytestmark = [pytest.mark.xdist_group("leaderboard"), pytest.mark.deploy]

LETTERS = "dfghijk"
NEEDS_WEIGHTS = ("baseline-frozen-lite0", "finder-learned-1", "finder-combined-1")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    root = tmp_path_factory.mktemp("classical")
    return Bench(draw_all_sets(root / "data"), root / "cache")


@pytest.fixture(scope="module")
def board(bench, tmp_path_factory):
    """The table of all systems that need no weights, each taught as briefly as can be."""
    folder = tmp_path_factory.mktemp("board")
    systems = {name: one for name, one in SYSTEMS.items() if name not in NEEDS_WEIGHTS}
    quick = partial(faster_rcnn.train_faster_rcnn, steps=2)
    systems["system-d-faster-rcnn"] = replace(systems["system-d-faster-rcnn"], finder=quick)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_cnn, "_EPOCHS", 1)
        build_leaderboard(systems, [], bench, folder / "kept", folder / "out", resamples=3)
    return folder


@pytest.mark.parametrize("letter", LETTERS)
def test_every_system_of_the_literature_is_there_by_name(letter):
    names = [name for name in SYSTEMS if name.startswith(f"system-{letter}-")]
    assert len(names) == 1
    one = known_system(names[0])
    assert one.reference
    assert one.weakness


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(PermanentError, match="system-g-kmeans"):
        known_system("system-z")


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name not in NEEDS_WEIGHTS])
def test_every_system_has_figures_within_their_bounds(board, name):
    report = read_report(board / "kept" / f"{name}.json")
    assert report.entries
    for entry in report.entries:
        assert entry.value >= 0
        assert entry.value <= 1 or entry.metric == "count_error"


def test_segmenters_find_drawn_cells(board):
    for name in ("system-f-fab", "system-g-kmeans", "system-i-morphology"):
        report = read_report(board / "kept" / f"{name}.json")
        nucleus = report.find("", "segmentation", "wbc-seg", "dice_nucleus")
        assert nucleus is not None
        assert nucleus.value > 0.8


def test_svm_tells_drawn_cells_apart_and_the_rim_does_so_less(board):
    def accuracy(name, variant):
        report = read_report(board / "kept" / f"{name}.json")
        return report.find(variant, "cell-class", "aml-deepapl", "balanced_accuracy").value

    assert accuracy("system-i-morphology", "tuned svm") > 0.9
    assert accuracy("baseline-corner", "") < accuracy("system-i-morphology", "tuned svm")


def test_types_of_leukaemia_without_data_are_said_to_have_none(board):
    report = read_report(board / "kept" / "system-k-leukaemia-types.json")
    for name in leukaemia_types.WITHOUT_DATA:
        assert any(note.startswith(f"{name}: no training data") for note in report.notes)
    variants = {entry.variant for entry in report.entries if entry.task == leukaemia_types.TASK}
    assert {"svm", "colour statistics alone", "rim of the picture alone"} <= variants


def test_no_row_and_no_column_of_the_table_is_empty(board):
    page = (board / "out" / PAGE).read_text()
    table = page.split("## All systems")[1].split("## ")[0].strip().splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    for row in rows:
        assert len(row) == len(COLUMNS) + 1
        assert set(row[1:]) != {"-"}
    for place, column in enumerate(COLUMNS, start=1):
        assert any(row[place] != "-" for row in rows), column.heading
    for letter in LETTERS:
        assert any(row[0].startswith(f"system-{letter}-") for row in rows)


def test_figures_for_machines_hold_every_system(board):
    found = json.loads((board / "out" / FIGURES).read_text())
    assert {one["system"] for one in found["systems"]} == set(SYSTEMS) - set(NEEDS_WEIGHTS)


def test_what_was_measured_is_not_measured_again(board, bench):
    def never(_):
        raise AssertionError("measured again")

    kept = board / "kept"
    systems = {
        name: System(name, "", "", "", aside=never)
        for name in SYSTEMS
        if (kept / f"{name}.json").exists()
    }
    reports = build_leaderboard(systems, [], bench, kept, board / "again")
    assert len(reports) == len(systems)
    assert (board / "again" / PAGE).read_text() == (board / "out" / PAGE).read_text()


def test_a_kill_loses_only_the_system_under_way(bench, tmp_path):
    def killed(_):
        raise KeyboardInterrupt

    systems = {
        "a": System("a", "r", "m", "w", segment=SYSTEMS["system-g-kmeans"].segment),
        "b": System("b", "r", "m", "w", aside=killed),
    }
    with pytest.raises(KeyboardInterrupt):
        build_leaderboard(systems, [], bench, tmp_path / "kept", tmp_path, resamples=5)
    assert read_report(tmp_path / "kept" / "a.json").system == "a"
    assert not (tmp_path / "kept" / "b.json").exists()


def test_a_system_whose_network_is_not_shipped_is_left_out(bench, tmp_path):
    def absent(_):
        raise PermanentError("finder-weights", "not there")

    systems = {"a": System("a", "r", "m", "w", finder=absent)}
    assert build_leaderboard(systems, [], bench, tmp_path / "kept", tmp_path) == []


def test_frozen_features_without_weights_say_how_to_name_them(bench):
    with pytest.raises(PermanentError, match="--weights"):
        run_system(SYSTEMS["baseline-frozen-lite0"], bench, 0)


def test_a_report_that_is_none_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(PermanentError, match=r"a\.json"):
        read_report(tmp_path / "a.json")


def test_a_system_runs_from_the_command_line(bench, tmp_path):
    file = tmp_path / "g.json"
    places = ["--data", str(bench.data), "--cache", str(bench.cache), "--json", str(file)]
    result = CliRunner().invoke(app, ["classical", "system-g-kmeans", *places])
    assert result.exit_code == 0, result.output
    assert "dice nucleus" in result.output
    found = json.loads(file.read_text())
    assert Report(**found).system == "system-g-kmeans"


def test_the_command_line_lists_all_systems_and_refuses_others(bench):
    places = ["--data", str(bench.data)]
    listed = CliRunner().invoke(app, ["classical", "list", *places])
    assert all(name in listed.output for name in SYSTEMS)
    assert CliRunner().invoke(app, ["classical", "system-z", *places]).exit_code == 1
