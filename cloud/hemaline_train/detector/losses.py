"""What a detector's answer costs: focal loss on heat, generalised overlap on boxes."""

import torch

from hemaline_train.detector.fields import WHITE


def heat_loss(logits: torch.Tensor, heat: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return each kind's focal loss, penalty-reduced near centres (Law and Deng 2018, CornerNet).

    Args:
        logits: Shape (n, kinds, rows, columns).
        heat: 1 at centres and less around them, same shape.
        known: 0 where nothing is to be learned, shape (n, rows, columns).

    Returns:
        Shape (kinds,), for each centre.
    """
    given = logits.sigmoid()
    centre = heat >= 1
    hit = (1 - given) ** 2 * torch.nn.functional.logsigmoid(logits)
    miss = (1 - heat) ** 4 * given**2 * torch.nn.functional.logsigmoid(-logits)
    each = -torch.where(centre, hit, miss) * known[:, None]
    return each.sum(dim=(0, 2, 3)) / centre.sum(dim=(0, 2, 3)).clamp(min=1)


def box_loss(given: torch.Tensor, wanted: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
    """Return the mean of 1 - generalised overlap (Rezatofighi et al. 2019) over all places.

    Args:
        given: Distances to left, top, right, bottom, shape (n, 4, rows, columns).
        wanted: Same shape.
        near: How much each place counts, shape (n, rows, columns).
    """
    smaller, larger = torch.minimum(given, wanted), torch.maximum(given, wanted)
    shared, hull = _area(smaller), _area(larger)
    both = _area(given) + _area(wanted) - shared
    apart = 1 - shared / both + (hull - both) / hull
    return (apart * near).sum() / near.sum().clamp(min=1)


def whole_loss(
    heat: torch.Tensor, box: torch.Tensor, box_weight: float, others_weight: float
) -> torch.Tensor:
    """Add up the losses of white cells, of other cells, and of boxes."""
    others = heat.sum() - heat[WHITE]
    return heat[WHITE] + others_weight * others + box_weight * box


def _area(distances: torch.Tensor) -> torch.Tensor:
    left, top, right, bottom = distances.unbind(dim=1)
    return (left + right) * (top + bottom)
