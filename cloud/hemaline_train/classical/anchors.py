"""Boxes as tensors: overlap, anchors, offsets and the suppression of repeats."""

import torch

STRIDE = 8
SIZES_PX = (28.0, 40.0, 56.0)
"""At 0.3 µm per pixel 8, 12 and 17 µm: a small lymphocyte, a neutrophil, a large monocyte."""

_MOST_GROWTH = 1.5


def anchors_of(height: int, width: int) -> torch.Tensor:
    """Return square anchors round each place of a map, shape (height * width * sizes, 4).

    Boxes are left, top, right, bottom in pixels of the view.
    """
    y = (torch.arange(height) + 0.5) * STRIDE
    x = (torch.arange(width) + 0.5) * STRIDE
    middles = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flip(-1).reshape(-1, 1, 2)
    halves = torch.tensor(SIZES_PX).view(1, -1, 1) / 2
    return torch.cat([middles - halves, middles + halves], dim=-1).reshape(-1, 4)


def overlaps(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the intersection over union of each pair, shape (n, m)."""
    low = torch.maximum(one[:, None, :2], other[None, :, :2])
    high = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=-1) for boxes in (one, other)]
    return shared / (areas[0][:, None] + areas[1][None] - shared).clamp(min=1e-6)


def offsets(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return what leads from anchors to boxes (Girshick 2014): shifts and growths, shape (n, 4)."""
    size, anchor_size = (one[:, 2:] - one[:, :2] for one in (boxes, anchors))
    middle, anchor_middle = ((one[:, 2:] + one[:, :2]) / 2 for one in (boxes, anchors))
    return torch.cat([(middle - anchor_middle) / anchor_size, (size / anchor_size).log()], dim=1)


def moved(anchors: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return the boxes to which offsets lead from anchors."""
    size = anchors[:, 2:] - anchors[:, :2]
    middle = (anchors[:, 2:] + anchors[:, :2]) / 2 + steps[:, :2] * size
    half = size * steps[:, 2:].clamp(-_MOST_GROWTH, _MOST_GROWTH).exp() / 2
    return torch.cat([middle - half, middle + half], dim=1)


def without_repeats(boxes: torch.Tensor, scores: torch.Tensor, most_overlap: float) -> torch.Tensor:
    """Return the places of boxes that no surer one overlaps by more, the surest first."""
    order = scores.argsort(descending=True)
    covered = overlaps(boxes[order], boxes[order]) > most_overlap
    kept: list[int] = []
    for place in range(len(order)):
        if not covered[place, kept].any():
            kept.append(place)
    return order[kept]
