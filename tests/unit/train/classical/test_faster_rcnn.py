"""Boxes, proposals and scenes of system D."""

import numpy as np
import pytest

from drawn_sets import draw_cell

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_shared.pixels.types import Scale
from hemaline_train.classical import anchors
from hemaline_train.classical.faster_rcnn import RcnnFinder
from hemaline_train.classical.rcnn_network import FasterRcnn, Proposals
from hemaline_train.classical.rcnn_scenes import SCENE_PX, LabelledView, random_scene
from hemaline_train.learning.efficientnet_lite import Lite0Features


def test_offsets_lead_back_to_the_box():
    boxes = torch.tensor([[10.0, 12.0, 50.0, 60.0], [0.0, 0.0, 20.0, 30.0]])
    starts = torch.tensor([[8.0, 8.0, 48.0, 48.0], [5.0, 5.0, 33.0, 33.0]])
    assert torch.allclose(anchors.moved(starts, anchors.offsets(boxes, starts)), boxes, atol=1e-4)


def test_of_boxes_that_repeat_each_other_the_surest_stays():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 11, 10], [40.0, 40, 50, 50]])
    kept = anchors.without_repeats(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5)
    assert kept.tolist() == [1, 2]


def test_anchors_lie_round_their_place_of_the_map():
    found = anchors.anchors_of(2, 3).view(2, 3, len(anchors.SIZES_PX), 4)
    middle = (found[1, 2, 0, :2] + found[1, 2, 0, 2:]) / 2
    assert middle.tolist() == [20.0, 12.0]


def test_proposals_do_not_repeat_each_other():
    starts = anchors.anchors_of(10, 10)
    few = Proposals(starts, torch.linspace(-1, 1, len(starts)), torch.zeros(len(starts), 4))
    boxes = few.boxes()
    fits = anchors.overlaps(boxes, boxes).fill_diagonal_(0)
    assert fits.max() <= 0.6


def test_a_scene_holds_the_cell_where_its_box_says():
    light = np.ones((120, 160, 3), np.float32)
    light[50:80, 70:110] = 0.2
    view = LabelledView(light, np.array([[70, 50, 110, 80]], np.float32))
    dice = np.random.default_rng(0)
    seen = 0
    for _ in range(10):
        scene, boxes = random_scene(view, dice)
        assert scene.shape == (1, 3, SCENE_PX, SCENE_PX)
        for left, top, right, bottom in boxes.round().int().tolist():
            inside = scene[0, :, top + 3 : bottom - 3, left + 3 : right - 3]
            assert float(inside.mean()) < -0.2
            seen += 1
    assert seen >= 6


def test_normalisation_stays_as_imagenet_left_it():
    network = FasterRcnn(Lite0Features()).train()
    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(part.training for part in norms)


def test_an_untaught_network_finds_boxes_within_the_field_or_none():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        finder = RcnnFinder(FasterRcnn(Lite0Features()))
    for cell in finder.find(draw_cell("blast").image, Scale(0.1, "configured")):
        assert 0 <= cell.box.left < cell.box.right <= 224
        assert 0 <= cell.box.top < cell.box.bottom <= 224


@pytest.mark.parametrize("um_per_px", [0.05, 0.6])
def test_any_scale_is_answered(um_per_px):
    finder = RcnnFinder(FasterRcnn(Lite0Features()))
    finder.find(draw_cell("blast").image, Scale(um_per_px, "assumed"))
