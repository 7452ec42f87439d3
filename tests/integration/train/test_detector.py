"""A tiny detector: trained, killed, resumed, exported and run by OpenCV."""

from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("onnxscript", reason="make setup-train brings onnxscript")

from drawn_fields import draw_field
from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.leukocytes import LearnedFinder
from hemaline_shared.pixels.types import Scale
from hemaline_train.cli import app
from hemaline_train.detector import train as training
from hemaline_train.detector.config import DetectorConfig
from hemaline_train.detector.export import check_parity, export_detector
from hemaline_train.detector.network import Detector, ServedDetector
from hemaline_train.detector.train import train_detector, trained_detector
from hemaline_train.learning.checkpoint import FILE, save_checkpoint

pytestmark = pytest.mark.xdist_group("torch")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "drawn").mkdir()
    lines = ["file\tsplit\tgroup\tbbox"]
    for number in range(3):
        field = draw_field(320, 240, cells=1, seed=number)
        cv2.imwrite(str(root / "drawn" / f"{number}.png"), field.image[..., ::-1])
        box = field.boxes[0]
        split = "val" if number == 2 else "train"
        edges = f"{box.left},{box.top},{box.right},{box.bottom}"
        lines.append(f"{number}.png\t{split}\tg{number}\tWBC:{edges}")
    (root / "drawn" / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return root


def config(**changes) -> DetectorConfig:
    tiny = {"epochs": 2, "scenes_per_epoch": 4, "batch_size": 2, "width": 8, "scene_px": 64}
    return DetectorConfig(name="tiny", data_sets={"drawn": 1.0}, **{**tiny, **changes})


@pytest.fixture(scope="module")
def trained(drawn, tmp_path_factory) -> Path:
    return train_detector(config(), drawn, tmp_path_factory.mktemp("runs"))


def test_a_killed_run_ends_in_the_same_weights(drawn, trained, tmp_path, monkeypatch):
    whole = training._train_one_epoch
    monkeypatch.setattr(
        training,
        "_train_one_epoch",
        lambda run, maker: whole(run, maker) if run.epoch < 1 else 1 / 0,
    )
    with pytest.raises(ZeroDivisionError):
        train_detector(config(), drawn, tmp_path)
    monkeypatch.undo()

    resumed = train_detector(config(), drawn, tmp_path)

    _, one = trained_detector(trained)
    _, other = trained_detector(resumed)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_checkpoint_of_other_settings_is_refused(drawn, trained):
    with pytest.raises(PermanentError, match="other settings"):
        train_detector(config(seed=1), drawn, trained.parents[1])


def test_a_classifier_s_checkpoint_is_no_detector_s(tmp_path):
    state = {"config": '{"name": "cells", "architecture": "resnet34"}', "average": {}}
    save_checkpoint(tmp_path, state)
    with pytest.raises(PermanentError, match="data_sets: Field required") as refused:
        trained_detector(tmp_path / FILE)
    assert refused.value.reason == "checkpoint"


def test_a_damaged_checkpoint_is_not_gone_on_from(drawn, tmp_path):
    (tmp_path / "tiny").mkdir()
    save_checkpoint(tmp_path / "tiny", {"config": config().model_dump_json()})
    with pytest.raises(PermanentError, match="it has no 'network'"):
        train_detector(config(), drawn, tmp_path)


@pytest.fixture
def other_manifest(drawn, tmp_path):
    """Return a maker of the same pictures under a changed manifest."""

    def changed(old: str, new: str) -> Path:
        (tmp_path / "drawn").mkdir()
        for file in (drawn / "drawn").iterdir():
            (tmp_path / "drawn" / file.name).write_bytes(file.read_bytes())
        text = (drawn / "drawn" / "manifest.tsv").read_text()
        (tmp_path / "drawn" / "manifest.tsv").write_text(text.replace(old, new))
        return tmp_path

    return changed


def test_a_group_on_both_sides_is_not_trained_on(other_manifest, tmp_path):
    with pytest.raises(PermanentError, match="drawn/group=g0") as refused:
        train_detector(config(), other_manifest("g2", "g0"), tmp_path / "runs")
    assert refused.value.reason == "leak"


def test_what_no_field_judges_is_neither_trained_nor_exported(other_manifest, trained, tmp_path):
    unjudged = other_manifest("val", "heldout")
    with pytest.raises(PermanentError, match="No image judges tiny"):
        train_detector(config(), unjudged, tmp_path / "runs")
    with pytest.raises(PermanentError, match="No image judges tiny"):
        export_detector(trained, unjudged, tmp_path / "tiny.onnx")
    assert not (tmp_path / "tiny.onnx").exists()


def test_the_exported_graph_is_what_the_finder_loads_and_names_no_path(drawn, trained, tmp_path):
    graph = tmp_path / "tiny.onnx"

    export_detector(trained, drawn, graph)

    weights = graph.read_bytes()
    assert b".py" not in weights
    assert LearnedFinder(weights).find(draw_field().image, Scale(0.17, "configured")) == []
    other = ServedDetector(Detector(8)).eval()
    with pytest.raises(PermanentError, match="strays"):
        check_parity(other, weights, [torch.randn(4, 64, 64).numpy()])


def test_a_wrong_config_ends_with_a_sentence_and_status_one(drawn, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text("name = 3\n")

    result = CliRunner().invoke(app, ["detector", "train", str(file), "--data", str(drawn)])

    assert result.exit_code == 1
    assert "is wrong" in " ".join(result.output.split())
