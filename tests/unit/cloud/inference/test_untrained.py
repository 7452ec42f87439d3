"""The untrained bundle has real networks and claims nothing."""

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest

from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.untrained import LABELS, ensure_untrained_bundle
from parts.queued import smooth_crops


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("untrained") / "bundle"
    ensure_untrained_bundle(path)
    return path


@pytest.fixture(scope="module")
def bundle(path):
    return load_bundle(path)


def test_it_says_that_it_is_untrained_and_has_no_operating_point(bundle):
    assert not bundle.manifest.trained
    (task,) = bundle.manifest.tasks
    assert not task.operating_points
    assert len(task.labels) == 9


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet34", 21_284_672 + 512 * 9), ("densenet121", 6_953_856 + 1024 * 9)],
)
def test_the_networks_have_the_published_number_of_parameters(bundle, name, parameters):
    # torchvision's models without their 1000-class linear layer, and with ours.
    model = onnx.load_model_from_string(bundle.graphs[name])
    learned = [t for t in model.graph.initializer if t.name.startswith(("kernel", "gain", "bias"))]
    assert sum(int(np.prod(tensor.dims)) for tensor in learned) == parameters


@pytest.mark.parametrize("name", ["resnet34", "densenet121"])
def test_the_networks_give_finite_logits_that_are_the_means_of_their_maps(bundle, name):
    session = onnxruntime.InferenceSession(bundle.graphs[name], providers=["CPUExecutionProvider"])
    crops = np.stack([*smooth_crops(2), np.zeros((224, 224, 3), np.uint8)])
    logits, maps = session.run(["logits", "activation_maps"], {"crops": crops})
    assert logits.shape == (3, len(LABELS))
    assert maps.shape == (3, len(LABELS), 7, 7)
    assert np.isfinite(maps).all()
    np.testing.assert_allclose(logits, maps.mean(axis=(2, 3)), rtol=1e-4, atol=1e-4)
    assert np.ptp(logits, axis=0).max() > 1e-3, "different crops must give different logits"


def test_building_it_again_gives_the_same_bytes(bundle, tmp_path):
    ensure_untrained_bundle(tmp_path / "again")
    assert load_bundle(tmp_path / "again").sha256 == bundle.sha256


def test_a_bundle_that_is_there_is_left_alone(path):
    before = (path / "manifest.json").stat().st_mtime_ns
    ensure_untrained_bundle(path)
    assert (path / "manifest.json").stat().st_mtime_ns == before


def test_its_manifest_names_each_files_hash(path, bundle):
    for entry in bundle.manifest.networks:
        assert hashlib.sha256((path / entry.file).read_bytes()).hexdigest() == entry.sha256
