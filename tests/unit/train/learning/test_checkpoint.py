"""What is no checkpoint, or another's, is refused in a sentence."""

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_shared.errors import PermanentError
from hemaline_train.detector.config import DetectorConfig
from hemaline_train.learning.checkpoint import (
    FILE,
    new_network,
    save_checkpoint,
    trained_network,
    trained_run,
)
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.efficientnet_lite import Lite0Features, load_imagenet_weights

pytestmark = pytest.mark.xdist_group("torch")

CONFIG = RunConfig(
    name="one",
    architecture="resnet34",
    tasks={"apl": 1.0},
    data_sets={"aml-deepapl": 1.0},
    input_px=32,
    epochs=12,
)


@pytest.fixture(scope="module")
def weights():
    return new_network(CONFIG).state_dict()


def checkpoint(folder, **parts):
    save_checkpoint(folder, {"config": CONFIG.model_dump_json(), "epoch": 7} | parts)
    return folder / FILE


def refused(file):
    with pytest.raises(PermanentError) as error:
        trained_run(file)
    assert error.value.reason == "checkpoint"
    assert str(file) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("content", [b"hello\n", b"epochs = 1\n", b"", b"\x89PNG\r\n\x1a\n", b"PK"])
def test_a_file_of_something_else_is_no_checkpoint(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert "is not a checkpoint, or it is damaged" in refused(tmp_path / FILE)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    assert "No such file" in refused(tmp_path / FILE)


def test_one_tensor_is_no_checkpoint(tmp_path):
    torch.save(torch.zeros(2), tmp_path / FILE)
    assert "is not a checkpoint" in refused(tmp_path / FILE)


def test_published_weights_are_no_checkpoint(tmp_path, weights):
    torch.save(weights, tmp_path / FILE)
    assert "it has no 'config'" in refused(tmp_path / FILE)


def test_a_detector_s_checkpoint_is_no_classifier_s(tmp_path):
    detector = DetectorConfig(name="finder", data_sets={"bccd": 1.0})
    message = refused(checkpoint(tmp_path, config=detector.model_dump_json(), average={}))
    assert "architecture: Field required" in message


def test_another_version_s_settings_are_named(tmp_path, weights):
    newer = CONFIG.model_dump_json().replace('"epochs"', '"rounds"')
    message = refused(checkpoint(tmp_path, config=newer, average=weights))
    assert "another version wrote it" in message
    assert "rounds: Extra inputs are not permitted" in message


def test_weights_of_another_shape_do_not_fit(tmp_path):
    other = new_network(CONFIG.model_copy(update={"tasks": {"cell-class": 1.0}})).state_dict()
    assert "weights do not fit" in refused(checkpoint(tmp_path, average=other))


def test_a_checkpoint_without_its_epoch_is_another_version_s(tmp_path, weights):
    save_checkpoint(tmp_path, {"config": CONFIG.model_dump_json(), "average": weights})
    assert "it has no 'epoch'" in refused(tmp_path / FILE)


def test_a_checkpoint_says_how_far_its_run_is(tmp_path, weights):
    run = trained_run(checkpoint(tmp_path, average=weights))
    assert (run.config, run.epoch) == (CONFIG, 7)
    config, network = trained_network(tmp_path / FILE)
    assert config == CONFIG
    assert not network.training
    assert torch.equal(network.head.weight, run.network.head.weight)


def test_weights_that_are_none_are_refused_by_name(tmp_path):
    (tmp_path / "weights.pth").write_text("hello\n")
    with pytest.raises(
        PermanentError, match=r"weights\.pth is not a file of EfficientNet"
    ) as error:
        load_imagenet_weights(Lite0Features(), tmp_path / "weights.pth")
    assert error.value.reason == "weights"
