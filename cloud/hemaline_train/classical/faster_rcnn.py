"""System D: teach the Faster R-CNN on labelled fields, and find and count with it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as nnf

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box, Leukocyte, RgbImage, Scale
from hemaline_train.classical.anchors import moved, offsets, overlaps, without_repeats
from hemaline_train.classical.bench import FIELD_SETS, Bench
from hemaline_train.classical.rcnn_network import FasterRcnn, Proposals
from hemaline_train.classical.rcnn_scenes import (
    LabelledView,
    as_tensor,
    labelled_view,
    light_at_view_scale,
    random_scene,
)
from hemaline_train.learning.efficientnet_lite import Lite0Features, load_imagenet_weights
from hemaline_train.learning.frozen import WEIGHTS
from hemaline_train.learning.precision import mixed_precision

STEPS, _BATCH, _RATE = 300, 8, 1e-3
_SAMPLED = 48
"""Anchors, and proposals, of one scene that teach: most are empty glass and say nothing new."""

_SURE_ENOUGH, _MOST_OVERLAP = 0.5, 0.3


class RcnnFinder:
    """Finds white cells by region proposals and a second look at each."""

    name = "faster-rcnn"

    def __init__(self, network: FasterRcnn) -> None:
        self._network = network.eval()

    @torch.inference_mode()
    def find(self, image: RgbImage, scale: Scale) -> list[Leukocyte]:
        """Return the white cells of a field, most confident first."""
        light, zoom = light_at_view_scale(image, scale)
        maps = self._network.maps(as_tensor(light))
        boxes = self._network.propose(maps)[0].boxes()
        logits, steps = self._network.decide(maps[0], boxes)
        found, scores = moved(boxes, steps), logits.sigmoid()
        kept = without_repeats(found, scores, _MOST_OVERLAP)
        return [
            Leukocyte(_box(found[place], zoom, image), float(scores[place]))
            for place in kept.tolist()
            if scores[place] >= _SURE_ENOUGH
        ]


def train_faster_rcnn(bench: Bench, steps: int = STEPS) -> RcnnFinder:
    """Teach the network on the train parts of the sets with boxes, each drawn equally often.

    Raises:
        PermanentError: `no-data`, or the weights or the data cannot be read.
    """
    parts = bench.fields(FIELD_SETS, "train")
    views = [[labelled_view(image) for image in images] for images in parts.values() if images]
    if not views:
        raise PermanentError("no-data", f"{bench.data} holds no train field with boxes.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FasterRcnn(_features(bench.weights))
        _train(network, views, steps)
    return RcnnFinder(network)


def _features(weights: Path | None) -> Lite0Features:
    features = Lite0Features()
    if weights is not None:
        load_imagenet_weights(features, weights / WEIGHTS["efficientnet-lite0"])
    return features


def _train(network: FasterRcnn, views: Sequence[Sequence[LabelledView]], steps: int) -> None:
    dice = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps, pct_start=0.2)
    network.train()
    for _ in range(steps):
        drawn = [views[place] for place in dice.integers(len(views), size=_BATCH).tolist()]
        scenes = [random_scene(part[int(dice.integers(len(part)))], dice) for part in drawn]
        with mixed_precision(torch.device("cpu")):
            maps = network.maps(torch.cat([scene for scene, _ in scenes]))
        maps = maps.float()
        losses = [
            _loss(network, one, proposals, boxes)
            for one, proposals, (_, boxes) in zip(maps, network.propose(maps), scenes, strict=True)
        ]
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        plan.step()


def _loss(
    network: FasterRcnn, maps: torch.Tensor, proposals: Proposals, boxes: torch.Tensor
) -> torch.Tensor:
    first = _stage_loss(
        proposals.scores, proposals.steps, proposals.anchors, boxes, right=0.55, wrong=0.35
    )
    # The labelled boxes are looked at too: early on there would be no good proposal otherwise.
    seen = torch.cat([proposals.boxes(), boxes])
    scores, steps = network.decide(maps, seen)
    return first + _stage_loss(scores, steps, seen, boxes, right=0.5, wrong=0.5)


def _stage_loss(
    scores: torch.Tensor,
    steps: torch.Tensor,
    starts: torch.Tensor,
    boxes: torch.Tensor,
    *,
    right: float,
    wrong: float,
) -> torch.Tensor:
    """Return the loss of scores and steps from `starts`, which overlap a cell by `right` or not."""
    if not len(boxes):
        return nnf.binary_cross_entropy_with_logits(scores, torch.zeros_like(scores))
    fits = overlaps(starts, boxes)
    best, owner = fits.max(dim=1)
    positive = best >= right
    # Each cell has at least the start that fits it best.
    positive[fits.argmax(dim=0)] = True
    chosen = _sample(positive, ~positive & (best < wrong))
    aim = positive[chosen].float()
    loss = nnf.binary_cross_entropy_with_logits(scores[chosen], aim)
    aims = offsets(boxes[owner[positive]], starts[positive])
    return loss + 2 * nnf.smooth_l1_loss(steps[positive], aims, beta=0.1)


def _sample(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Return places of up to half positives and the rest negatives, drawn at random."""
    yes, no = (flags.nonzero()[:, 0] for flags in (positive, negative))
    yes = yes[torch.randperm(len(yes))[: _SAMPLED // 2]]
    no = no[torch.randperm(len(no))[: _SAMPLED - len(yes)]]
    return torch.cat([yes, no])


def _box(edges: torch.Tensor, zoom: float, image: RgbImage) -> Box:
    height, width = image.shape[:2]
    left, top, right, bottom = (round(value / zoom) for value in edges.tolist())
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return Box(left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height))
