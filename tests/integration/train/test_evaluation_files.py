"""`evaluate` and `card` on a whole bundle: figures, files, and what must not be hidden."""

import json
import shutil

import cv2
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")
pytest.importorskip("matplotlib", reason="make setup-train brings matplotlib")

from typer.testing import CliRunner

from drawn_bundle import colour_bundle
from hemaline_train.cli import app
from hemaline_train.data.reviewed import COLUMNS, FILE


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "colour-1"
    return colour_bundle(folder, {"aml-deepapl": 1.0})


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What was cut once need not be cut for each test."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def two_laboratories(tiny_data, tmp_path_factory):
    """A second laboratory's set beside the first: the same cells, boxed, under other labels."""
    root = tmp_path_factory.mktemp("two")
    (root / "aml-deepapl").symlink_to(tiny_data / "aml-deepapl")
    other = root / "chula-wbc5"
    other.mkdir()
    lines = ["file\tlabel\tsplit\tgroup\tbbox"]
    for number, label in enumerate(("lymphocyte", "monocyte", "lymphocyte", "monocyte")):
        (other / f"{number}.png").symlink_to(tiny_data / "aml-deepapl" / f"{number}.png")
        lines.append(f"{number}.png\t{label}\ttrain\tslide-{number}\t{label}:145,145,215,215")
    (other / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return root


def run(*arguments):
    arguments = [*map(str, arguments), "--resamples", "20"]
    answer = CliRunner().invoke(app, arguments, terminal_width=200)
    assert answer.exit_code == 0, answer.output
    return answer.output


def evaluated(bundle, data_set, cache, folder, *options):
    file = folder / "figures.json"
    output = run(*("evaluate", bundle, data_set, "--cache", cache, "--json", file), *options)
    (entry,) = json.loads(file.read_text())
    return output, entry


def test_evaluate_writes_each_figure_with_its_interval_as_json(bundle, tiny_data, cache, tmp_path):
    _, entry = evaluated(bundle, tiny_data / "aml-deepapl", cache, tmp_path)
    assert (entry["task"], entry["data_set"], entry["split"]) == (
        "cell-class",
        "aml-deepapl",
        "val",
    )
    assert (entry["n"], entry["groups"], entry["training_saw"]) == (8, 4, False)
    assert set(entry["networks"]) == {"resnet34", "densenet121"}
    figure = entry["metrics"]["balanced_accuracy"]
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert entry["recalls"]["blast"]["value"] is not None
    assert entry["recalls"]["monocyte"]["value"] is None
    assert sum(map(sum, entry["confusion"])) == 8


def test_evaluate_draws_and_tells_in_a_folder(bundle, tiny_data, cache, tmp_path):
    evaluated(bundle, tiny_data / "aml-deepapl", cache, tmp_path, "--out", tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stem = "aml-deepapl-val"
    assert names == {
        f"{stem}.md",
        f"{stem}.json",
        f"{stem}-cell-class-reliability.png",
        f"{stem}-cell-class-roc.png",
    }
    report = (tmp_path / "out" / f"{stem}.md").read_text()
    for picture in (tmp_path / "out").glob("*.png"):
        assert f"]({picture.name})" in report
        assert cv2.imread(str(picture)) is not None


def test_compare_sets_bundles_side_by_side_on_the_same_pictures(bundle, tiny_data, cache, tmp_path):
    other = colour_bundle(tmp_path / "colour-2", {"chula-wbc5": 1.0})
    file = tmp_path / "compared.json"
    options = ("--data", tiny_data, "--cache", cache, "--json", file)
    output = run("compare", bundle, other, *options)
    rows = {row["figure"]: row for row in json.loads(file.read_text())}
    assert rows["balanced accuracy"]["values"].keys() == {"colour-1", "colour-2"}
    assert rows["balanced accuracy"]["trained_on"] == {"colour-1": True, "colour-2": False}
    assert rows["recall of blast"]["n"] == 4
    assert "recall of monocyte" not in rows
    line = next(line for line in output.splitlines() if "| balanced accuracy |" in line)
    assert line.count("*") == 1


def test_compare_passes_over_verdicts_where_it_is_told_to(bundle, tiny_data, cache, tmp_path):
    folder = tmp_path / "data" / "aml-deepapl"
    shutil.copytree(tiny_data / "aml-deepapl", folder)
    verdict = ("aml-deepapl", "16.png", "blast", "drop", "", "as it looks", "somebody")
    (folder / FILE.name).write_text("\t".join(COLUMNS) + "\n" + "\t".join(verdict) + "\n")
    other = colour_bundle(tmp_path / "colour-2", {"chula-wbc5": 1.0})
    judged = ("compare", bundle, other, "--data", folder.parent, "--cache", cache)
    assert "| recall of blast | 3 |" in run(*judged)
    assert "| recall of blast | 4 |" in run(*judged, "--labels-as-they-come")


def test_compare_refuses_one_bundle_twice(bundle, tiny_data, cache):
    arguments = ["compare", bundle, bundle, "--data", tiny_data, "--cache", cache]
    refused = CliRunner().invoke(app, list(map(str, arguments)))
    assert refused.exit_code == 1
    assert "have the same name" in refused.output


def test_a_split_that_training_saw_is_called_flattering(bundle, tiny_data, cache, tmp_path):
    output, entry = evaluated(bundle, tiny_data / "aml-deepapl", cache, tmp_path, "--split", "all")
    assert entry["training_saw"] is True
    assert "the figures flatter" in output


def test_a_run_of_one_fold_may_have_trained_on_the_val_part(tiny_data, cache, tmp_path):
    folded = colour_bundle(tmp_path / "folded-1", {"aml-deepapl": 1.0}, fold=2)
    _, entry = evaluated(folded, tiny_data / "aml-deepapl", cache, tmp_path)
    assert entry["training_saw"] is True


def test_a_set_that_training_never_saw_is_not_called_so(bundle, two_laboratories, cache, tmp_path):
    output, entry = evaluated(
        bundle, two_laboratories / "chula-wbc5", cache, tmp_path, "--split", "train"
    )
    assert entry["training_saw"] is False
    assert "flatter" not in output


def test_the_card_judges_unseen_parts_and_compares_laboratories(
    bundle, two_laboratories, cache, tmp_path
):
    run(
        *("card", bundle, "--data", two_laboratories, "--cache", cache),
        *("--out", tmp_path / "cards", "--machine", "none at all"),
        *("--remark", "It looks at colours only."),
    )
    card = (tmp_path / "cards" / "colour-1.md").read_text()
    assert "### cell-class on aml-deepapl, split val" in card
    assert "| aml-deepapl | val | yes | 8 | 4 |" in card
    assert "| chula-wbc5 | all | no | 4 | 4 |" in card
    assert "It looks at colours only." in card
    trained = [line for line in card.splitlines() if line.startswith("hemaline-train train")]
    assert [line.rpartition("/")[2] for line in trained] == ["lite0-early.toml", "colour.toml"]
    (evaluation,) = json.loads((tmp_path / "cards" / "colour-1" / "evaluations.json").read_text())
    assert evaluation["n"] == 8
    for picture in (tmp_path / "cards" / "colour-1").glob("*.png"):
        assert f"](colour-1/{picture.name})" in card
    beside_graphs = (bundle / "README.md").read_text()
    assert beside_graphs.startswith("# Model card: colour-1")
    assert ".png" not in beside_graphs


def test_a_directory_without_fitting_data_makes_no_card(bundle, tmp_path):
    answer = CliRunner().invoke(
        app, ["card", str(bundle), "--data", str(tmp_path), "--out", str(tmp_path / "cards")]
    )
    assert answer.exit_code == 1
    assert not (tmp_path / "cards").exists()


def test_a_folder_of_another_name_is_read_as_a_known_set_where_asked(
    bundle, tiny_data, cache, tmp_path
):
    shutil.copytree(tiny_data / "aml-deepapl", tmp_path / "kept-elsewhere")
    options = ("--as", "aml-deepapl")
    _, entry = evaluated(bundle, tmp_path / "kept-elsewhere", cache, tmp_path, *options)
    assert (entry["data_set"], entry["n"]) == ("aml-deepapl", 8)


def test_a_link_in_the_data_directory_is_known_by_its_own_name(bundle, tiny_data, cache, tmp_path):
    shutil.copytree(tiny_data / "aml-deepapl", tmp_path / "deepapl_v2")
    (tmp_path / "aml-deepapl").symlink_to(tmp_path / "deepapl_v2", target_is_directory=True)
    _, entry = evaluated(bundle, tmp_path / "aml-deepapl", cache, tmp_path)
    assert (entry["data_set"], entry["n"]) == ("aml-deepapl", 8)
