"""Show a crop as another smear, another stain or another microscope might: on whole batches."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as nnf

_STAIN_TO_RGB = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density of haematoxylin, eosin and DAB (Ruifrok and Johnston 2001): azure and eosin lie
near the first two, so that scaling along these axes looks like another staining time."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How far each change may go; 0 switches it off.

    Attributes:
        turn: Whether crops are rotated by any angle and mirrored: a smear has no up.
        scale: Largest change of size, as a part of 1.
        shift: Largest shift, as a part of the crop.
        stain: Largest change of a stain's density, as a part of 1.
        light: Largest change of brightness, contrast and white balance.
        blur: Largest standard deviation, in pixels of the crop; half of the crops are blurred.
        noise: Largest standard deviation, of 1.
        cutout: Largest side of a blanked square, as a part of the crop; half of the crops have one.
        surround: The share of crops that lose their rim, red cells and all, to light background.
        exposure: Largest change of all optical density above the glass, as a part of 1; its
            channels change by less, and the glass gets another colour.
    """

    turn: bool = True
    scale: float = 0.15
    shift: float = 0.06
    stain: float = 0.25
    light: float = 0.12
    blur: float = 1.5
    noise: float = 0.03
    cutout: float = 0.35
    surround: float = 0.0
    exposure: float = 0.0


def augment(pixels: torch.Tensor, strength: Strength, dice: torch.Generator) -> torch.Tensor:
    """Change each crop of a batch in its own way.

    Args:
        pixels: 0..1, shape (n, 3, side, side).
        strength: How far.
        dice: Makes every choice, so that a seed repeats it; on the pixels' device.

    Returns:
        0..1, same shape.
    """
    pixels = _expose(pixels, strength.exposure, dice)
    pixels = _surround(pixels, strength.surround, dice)
    pixels = _move(pixels, strength, dice)
    pixels = _restain(pixels, strength.stain, dice)
    pixels = _relight(pixels, strength.light, dice)
    pixels = _blur(pixels, strength.blur, dice)
    pixels = _grain(pixels, strength.noise, dice)
    return _cut_out(pixels, strength.cutout, dice).clamp(0, 1)


def blend(
    pixels: torch.Tensor, kinds: torch.Tensor, share: float, dice: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lay some pictures of a batch over another of their kind (Zhang et al. 2018, "mixup").

    Args:
        pixels: Shape (n, 3, side, side).
        kinds: Shape (n,): only equal ones are blended.
        share: Of the pictures that are.
        dice: As for `augment`.

    Returns:
        The pictures, each one's partner, shape (n,), and how much of itself it shows, shape (n,).
    """
    count = len(pixels)
    partners = torch.randperm(count, generator=dice, device=pixels.device)
    kept = _between(0, 1, (count,), dice)
    blended = _chosen(share, count, dice) & (kinds == kinds[partners])
    kept = torch.where(blended, kept, torch.ones_like(kept))
    parts = kept[:, None, None, None]
    return pixels * parts + pixels[partners] * (1 - parts), partners, kept


def _between(
    low: float, high: float, shape: tuple[int, ...], dice: torch.Generator
) -> torch.Tensor:
    return torch.rand(shape, generator=dice, device=dice.device) * (high - low) + low


_DARKEST_GLASS = 0.3
"""Of 1: a crop that is all cell has no glass to go by."""
_LEAST_SEEN, _MOST_SEEN = 0.45, 0.85
"""Of a crop's side, 22 µm: from a lymphocyte with hardly a rim to a monocyte with one."""


def _surround(pixels: torch.Tensor, share: float, dice: torch.Generator) -> torch.Tensor:
    """Show some crops as if cut tightly round the cell: a rectangle of it, and empty glass."""
    if not share:
        return pixels
    count, side = len(pixels), pixels.shape[-1]
    halves = _between(_LEAST_SEEN, _MOST_SEEN, (count, 2), dice) * side / 2
    apart = (torch.arange(side, device=pixels.device) - (side - 1) / 2).abs()[None, None]
    seen = apart <= halves[..., None]
    shown = seen[:, 0, :, None] & seen[:, 1, None, :]
    shown |= ~_chosen(share, count, dice)[:, None, None]
    return torch.where(shown[:, None], pixels, _glass(pixels))


def _glass(pixels: torch.Tensor) -> torch.Tensor:
    """Return the colour of the empty glass, shape (n, 3, 1, 1)."""
    return torch.quantile(pixels[:, :, ::8, ::8].flatten(2), 0.92, dim=2)[..., None, None]


def _expose(pixels: torch.Tensor, most: float, dice: torch.Generator) -> torch.Tensor:
    """Show what lies on the glass thinner or thicker, and the glass in another light."""
    if not most:
        return pixels
    count = len(pixels)
    reach = math.log1p(most)
    density = torch.log(_glass(pixels).clamp(min=_DARKEST_GLASS) / pixels.clamp(min=1 / 255))
    all_of_it = torch.exp(_between(-reach, reach, (count, 1, 1, 1), dice))
    channels = torch.exp(_between(-0.4 * reach, 0.4 * reach, (count, 3, 1, 1), dice))
    light = _between(0, 0.7 * reach, (count, 1, 1, 1), dice)
    tint = _between(0, 0.35 * reach, (count, 3, 1, 1), dice)
    return torch.exp(-(density.clamp(min=0) * all_of_it * channels + light + tint))


def _move(pixels: torch.Tensor, strength: Strength, dice: torch.Generator) -> torch.Tensor:
    count = len(pixels)
    angle = _between(-math.pi, math.pi, (count,), dice) * strength.turn
    mirror = 1 - 2 * _chosen(0.5 * strength.turn, count, dice).float()
    reach = math.log1p(strength.scale)
    zoom = torch.exp(_between(-reach, reach, (count,), dice))
    shift = _between(-2 * strength.shift, 2 * strength.shift, (count, 2), dice)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [
        torch.stack([cos * mirror, -sin, shift[:, 0]], dim=1),
        torch.stack([sin * mirror, cos, shift[:, 1]], dim=1),
    ]
    grid = nnf.affine_grid(torch.stack(rows, dim=1), list(pixels.shape), align_corners=False)
    return nnf.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _restain(pixels: torch.Tensor, most: float, dice: torch.Generator) -> torch.Tensor:
    """Scale each stain's density: one matrix for each crop, in optical density."""
    scales = torch.exp(_between(-most, most, (len(pixels), 3), dice))
    stains = _STAIN_TO_RGB.to(pixels.device)
    change = (torch.linalg.inv(stains)[None] * scales[:, None, :]) @ stains
    density = -torch.log(pixels.clamp(min=1 / 255))
    stained = torch.einsum("nchw,ncd->ndhw", density, change)
    return torch.exp(-stained.clamp(min=0))


def _relight(pixels: torch.Tensor, most: float, dice: torch.Generator) -> torch.Tensor:
    count = len(pixels)
    gamma = torch.exp(_between(-most, most, (count, 1, 1, 1), dice))
    contrast = 1 + _between(-most, most, (count, 1, 1, 1), dice)
    balance = 1 + _between(-most / 2, most / 2, (count, 3, 1, 1), dice)
    light = _between(-most / 2, most / 2, (count, 1, 1, 1), dice)
    middle = pixels.mean(dim=(2, 3), keepdim=True)
    changed = (pixels.clamp(1e-3, 1) ** gamma - middle) * contrast + middle
    return changed * balance + light


def _blur(pixels: torch.Tensor, most: float, dice: torch.Generator) -> torch.Tensor:
    count = len(pixels)
    sigma = _between(0.2, max(most, 0.2), (count, 1), dice)
    # Where a crop stays sharp, its kernel is a single 1.
    sharp = ~_chosen(0.5 if most else 0.0, count, dice)
    reach = math.ceil(3 * max(most, 0.2))
    places = torch.arange(-reach, reach + 1, device=pixels.device)[None]
    lines = torch.where(
        sharp[:, None], (places == 0).float(), torch.exp(-0.5 * (places / sigma) ** 2)
    )
    lines = (lines / lines.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)
    flat = nnf.pad(pixels, [reach] * 4, mode="reflect").flatten(0, 1)[None]
    across = nnf.conv2d(flat, lines[:, None, None, :], groups=3 * count)
    return nnf.conv2d(across, lines[:, None, :, None], groups=3 * count).reshape(pixels.shape)


def _grain(pixels: torch.Tensor, most: float, dice: torch.Generator) -> torch.Tensor:
    if not most:
        return pixels
    sigma = _between(0, most, (len(pixels), 1, 1, 1), dice)
    return pixels + torch.randn(pixels.shape, generator=dice, device=pixels.device) * sigma


def _cut_out(pixels: torch.Tensor, most: float, dice: torch.Generator) -> torch.Tensor:
    count, side = len(pixels), pixels.shape[-1]
    sizes = _between(0.1, max(most, 0.1), (count, 2), dice) * side
    corners = _between(0, 1, (count, 2), dice) * (side - sizes)
    places = torch.arange(side, device=pixels.device)[None, None]
    inside = (places >= corners[..., None]) & (places < (corners + sizes)[..., None])
    hole = inside[:, 0, :, None] & inside[:, 1, None, :]
    hole &= _chosen(0.5 if most else 0.0, count, dice)[:, None, None]
    return torch.where(hole[:, None], pixels.mean(dim=(2, 3), keepdim=True), pixels)


def _chosen(share: float, count: int, dice: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=dice, device=dice.device) < share
