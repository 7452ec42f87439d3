"""Networks: the resampling inside, the heads, and the graph that is served."""

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.efficientnet_lite import (
    Lite0Features,
    Lite2Features,
    load_imagenet_weights,
)
from hemaline_train.learning.networks import Network, ServingGraph, resampling_matrix


@pytest.mark.parametrize("target", [32, 100, 224])
def test_resampling_keeps_a_plain_picture_plain(target):
    assert torch.allclose(resampling_matrix(224, target).sum(dim=1), torch.ones(target))


def test_resampling_to_the_same_size_changes_nothing():
    assert torch.equal(resampling_matrix(7, 7), torch.eye(7))


def test_resampling_averages_what_it_cannot_show():
    stripes = torch.tensor([0.0, 1.0] * 16)
    seen = resampling_matrix(32, 8) @ stripes
    assert (seen[1:-1] - 0.5).abs().max() < 1e-6


@pytest.mark.parametrize("architecture", ["resnet34", "efficientnet-lite0", "efficientnet-lite2"])
def test_the_served_graph_answers_as_the_network_does(architecture):
    torch.manual_seed(0)
    network = Network(architecture, {"other": 2, "mine": 3}, 64).eval()
    crops = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits, maps = ServingGraph(network, ["mine"]).eval()(crops)
        pixels = crops.permute(0, 3, 1, 2).float() / 255
        views = [network(pixels.flip(axes)).logits for axes in ((), (2,), (3,), (2, 3))]
    assert torch.allclose(logits, torch.stack(views).mean(dim=0)[:, 2:], atol=1e-4)
    assert torch.allclose(maps.mean(dim=(2, 3)), logits, atol=1e-4)


def test_a_mirrored_crop_gets_the_same_answer_and_mirrored_maps():
    torch.manual_seed(0)
    graph = ServingGraph(Network("resnet34", {"mine": 3}, 64).eval(), ["mine"]).eval()
    crops = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits, maps = graph(crops)
        mirrored_logits, mirrored_maps = graph(crops.flip(2))
    assert torch.allclose(mirrored_logits, logits, atol=1e-4)
    assert torch.allclose(mirrored_maps, maps.flip(3), atol=1e-4)


def test_heads_are_served_in_the_order_that_is_asked_for():
    torch.manual_seed(0)
    network = Network("resnet34", {"one": 2, "two": 3}, 32).eval()
    crops = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits, _ = ServingGraph(network, ["two", "one"]).eval()(crops)
        straight, _ = ServingGraph(network, ["one", "two"]).eval()(crops)
    assert torch.allclose(logits, straight[:, [2, 3, 4, 0, 1]], atol=1e-4)


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(PermanentError, match="resnet34"):
        Network("vgg16", {"mine": 2}, 64)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(PermanentError, match=r"weights\.pth"):
        load_imagenet_weights(Lite0Features(), tmp_path / "weights.pth")


def test_lite2_has_the_published_number_of_parameters():
    # 6.09 million with the 1000-class layer of 1,281,000 (TensorFlow's model zoo).
    count = sum(part.numel() for part in Lite2Features().parameters())
    assert count + 1_281_000 == pytest.approx(6.09e6, rel=2e-3)


def test_a_graph_with_one_view_answers_as_the_network_does_for_the_crop_alone():
    torch.manual_seed(0)
    network = Network("resnet34", {"mine": 3}, 64).eval()
    crops = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits, _ = ServingGraph(network, ["mine"], views=1).eval()(crops)
        expected = network(crops.permute(0, 3, 1, 2).float() / 255).logits
    assert torch.allclose(logits, expected, atol=1e-4)
