"""Networks out of a bundle: they answer as its graphs do, and can be trained again."""

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("onnxscript", reason="make setup-train brings onnxscript")

import numpy as np

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Calibration
from hemaline_train.bundles.answers import run_graph
from hemaline_train.bundles.bundle import Bundle, ServedNetwork, write_bundle
from hemaline_train.bundles.quantise import quantise, quantise_weights
from hemaline_train.data.tasks import Task
from hemaline_train.learning.networks import Network, ServingGraph
from hemaline_train.learning.shipped_weights import load_shipped_weights
from parts.networks import SIDE, as_pixels, crops, graph_of, used_network

pytestmark = pytest.mark.xdist_group("torch")

KIND = Task("kind", "cell", ("one", "two", "three"))
OTHER = Task("other", "cell", ("yes", "no"))
LABELS = {"kind": KIND.labels, "other": OTHER.labels}
SHRINK = {
    "resnet34": bytes,
    "densenet121": lambda graph: quantise(graph, crops()),
    "efficientnet-lite0": quantise_weights,
}
"""Each as it ships: in floating point, in eight bits, with large kernels in eight bits."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Return a function: architecture -> its graph beside a bundle's manifest, made once."""
    made = {}

    def file_of(architecture):
        if architecture not in made:
            made[architecture] = ship(architecture, tmp_path_factory.mktemp("bundle") / "ours-1")
        return made[architecture]

    return file_of


def ship(architecture, folder):
    graph = SHRINK[architecture](graph_of(architecture))
    calibration = {task.name: Calibration(temperature=1.0, weight=1.0) for task in (KIND, OTHER)}
    network = ServedNetwork(architecture, graph, calibration)
    points = {KIND.name: (0.5,) * 3, OTHER.name: (0.5,) * 2}
    write_bundle(folder, Bundle(folder.name, (KIND, OTHER), (network,), {}, points))
    return folder / network.file


def answers(network, heads):
    with torch.inference_mode():
        return ServingGraph(network.eval(), heads).eval()(torch.from_numpy(crops()))[0].numpy()


def read_back(architecture, file, labels):
    network = Network(architecture, {name: len(own) for name, own in labels.items()}, SIDE)
    load_shipped_weights(network, file, as_pixels(crops()), labels)
    return network


@pytest.mark.parametrize("architecture", ["resnet34", "efficientnet-lite0"])
def test_a_network_out_of_a_bundle_answers_as_its_graph_does(architecture, shipped):
    file = shipped(architecture)
    expected = run_graph(file.read_bytes(), crops())
    given = answers(read_back(architecture, file, LABELS), list(LABELS))
    assert np.abs(given - expected).max() < 1e-3 * max(1.0, np.abs(expected).max())


@pytest.mark.deploy  # DenseNet-121's export alone takes 40 s of a core
def test_kernels_of_eight_bits_come_back_as_they_were_rounded(shipped):
    # The graph's activations are of eight bits, too; those of what comes back are not.
    rounded = read_back("densenet121", shipped("densenet121"), LABELS)
    given, expected = (answers(one, list(LABELS)) for one in (rounded, used_network("densenet121")))
    assert np.abs(given - expected).max() < 0.3 * np.ptp(expected)


def test_every_channel_comes_back_with_the_variance_of_a_normalised_one(shipped):
    network = read_back("resnet34", shipped("resnet34"), {"kind": KIND.labels})
    norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert all(torch.equal(one.running_var, torch.ones_like(one.running_var)) for one in norms)
    with torch.no_grad():
        still = network.eval()(as_pixels(crops())).logits
        learning = network.train()(as_pixels(crops())).logits
    assert (still - learning).abs().max() < 0.2 * still.abs().max()


def test_labels_that_the_bundle_has_not_begin_at_random(shipped):
    file = shipped("resnet34")
    expected = run_graph(file.read_bytes(), crops())
    labels = {"new": ("a", "b"), "kind": ("three", "four", "one")}
    given = answers(read_back("resnet34", file, labels), ["new", "kind"])
    assert given[:, [2, 4]] == pytest.approx(expected[:, [2, 0]], abs=1e-3)


def test_the_graph_of_another_architecture_is_refused(shipped):
    with pytest.raises(PermanentError, match=r"resnet34\.onnx does not hold") as refused:
        read_back("efficientnet-lite0", shipped("resnet34"), LABELS)
    assert refused.value.reason == "weights"


def test_a_graph_without_its_manifest_is_refused(shipped, tmp_path):
    alone = tmp_path / "resnet34.onnx"
    alone.write_bytes(shipped("resnet34").read_bytes())
    with pytest.raises(PermanentError, match="does not hold"):
        read_back("resnet34", alone, LABELS)
