"""A compact Faster R-CNN (Ren et al. 2015) on the maps of EfficientNet-Lite0 (system D)."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as nnf

from hemaline_train.classical.anchors import (
    SIZES_PX,
    STRIDE,
    anchors_of,
    moved,
    without_repeats,
)
from hemaline_train.learning.efficientnet_lite import Lite0Features

_FINE_BLOCKS, _COARSE_BLOCKS = 5, 11
"""After so many of Lite0's blocks the maps are an eighth and a sixteenth of the view."""

_FINE, _COARSE, _WIDTH = 40, 112, 96
_CELLS = 5
"""A proposal is looked at again through so many by so many samples of the maps."""

_PROPOSED, _KEPT = 120, 24


class Proposals(NamedTuple):
    """What the first stage says of one view.

    Attributes:
        anchors: Shape (n, 4).
        scores: Logits, shape (n,).
        steps: From anchors to boxes, shape (n, 4).
    """

    anchors: torch.Tensor
    scores: torch.Tensor
    steps: torch.Tensor

    def boxes(self) -> torch.Tensor:
        """Return the best boxes without repeats, shape (at most 24, 4), cut off from learning."""
        with torch.no_grad():
            best = self.scores.topk(min(_PROPOSED, len(self.scores))).indices
            boxes = moved(self.anchors[best], self.steps[best])
            return boxes[without_repeats(boxes, self.scores[best], 0.6)[:_KEPT]]


class FasterRcnn(nn.Module):
    """From views, shape (n, 3, h, w), to proposals, and from proposals to white cells."""

    def __init__(self, features: Lite0Features) -> None:
        super().__init__()
        stem, norm, blocks = list(features.children())[:3]
        taken = list(blocks.children())
        self.fine = nn.Sequential(stem, norm, nn.ReLU6(), *taken[:_FINE_BLOCKS])
        self.coarse = nn.Sequential(*taken[_FINE_BLOCKS:_COARSE_BLOCKS])
        self.join = nn.Conv2d(_FINE + _COARSE, _WIDTH, 1)
        self.look = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
        self.score = nn.Conv2d(_WIDTH, len(SIZES_PX), 1)
        self.step = nn.Conv2d(_WIDTH, 4 * len(SIZES_PX), 1)
        self.second = nn.Sequential(
            nn.Flatten(), nn.Linear(_WIDTH * _CELLS**2, 128), nn.ReLU(), nn.Linear(128, 5)
        )

    def train(self, mode: bool = True) -> "FasterRcnn":  # noqa: FBT001, FBT002 (torch's signature)
        """Train, but never the normalisation: batches are small and laboratories differ."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        return self

    def maps(self, views: torch.Tensor) -> torch.Tensor:
        """Return the shared maps, shape (n, 96, h / 8, w / 8)."""
        fine = self.fine(views)
        coarse = nnf.interpolate(self.coarse(fine), fine.shape[2:], mode="bilinear")
        return nnf.relu(self.join(torch.cat([fine, coarse], dim=1)))

    def propose(self, maps: torch.Tensor) -> list[Proposals]:
        """Return the first stage's answer for each view."""
        looked = nnf.relu(self.look(maps))
        count, _, height, width = looked.shape
        scores = self.score(looked).permute(0, 2, 3, 1).reshape(count, -1)
        steps = self.step(looked).permute(0, 2, 3, 1).reshape(count, -1, 4)
        anchors = anchors_of(height, width)
        return [Proposals(anchors, *one) for one in zip(scores, steps, strict=True)]

    def decide(self, maps: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at boxes again: logits, shape (n,), and steps, shape (n, 4).

        Args:
            maps: Of one view, shape (96, h, w).
            boxes: Shape (n, 4).
        """
        answer = self.second(_aligned(maps, boxes))
        return answer[:, 0], answer[:, 1:]


def _aligned(maps: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Sample the maps evenly within each box (RoIAlign, He et al. 2017), shape (n, 96, 5, 5)."""
    at = (torch.arange(_CELLS) + 0.5) / _CELLS
    x = boxes[:, None, 0] + at * (boxes[:, 2] - boxes[:, 0])[:, None]
    y = boxes[:, None, 1] + at * (boxes[:, 3] - boxes[:, 1])[:, None]
    height, width = maps.shape[1:]
    across = (x / (width * STRIDE) * 2 - 1)[:, None, :].expand(-1, _CELLS, -1)
    down = (y / (height * STRIDE) * 2 - 1)[:, :, None].expand(-1, -1, _CELLS)
    grid = torch.stack([across, down], dim=-1).reshape(1, -1, _CELLS, 2)
    sampled = nnf.grid_sample(maps[None], grid, align_corners=False)
    return sampled[0].reshape(maps.shape[0], len(boxes), _CELLS, _CELLS).transpose(0, 1)
