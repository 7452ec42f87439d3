"""The networks: pixels in; logits, activation maps and pooled features out; a head a task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.resnet import resnet34
from torch import nn
from torch.nn import functional as nnf

from hemaline_shared.errors import PermanentError
from hemaline_shared.logits import slices
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_train.learning.efficientnet_lite import CHANNELS as LITE_CHANNELS
from hemaline_train.learning.efficientnet_lite import Lite0Features, Lite2Features

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LITE = ((127 / 255,) * 3, (128 / 255,) * 3)


class Answer(NamedTuple):
    """What a network says of n crops.

    Attributes:
        logits: Shape (n, all labels of all heads).
        features: The maps' means, shape (n, channels).
    """

    logits: torch.Tensor
    features: torch.Tensor


@dataclass(frozen=True, slots=True)
class Architecture:
    """How to build the part below the heads, and what it gives and expects."""

    build: Callable[[], nn.Module]
    channels: int
    normalisation: tuple[tuple[float, ...], tuple[float, ...]]


def _resnet34() -> nn.Module:
    # Without conv1_t_stride=2 MONAI's stem keeps the full size: four times the work.
    whole = resnet34(
        spatial_dims=2,
        n_input_channels=3,
        shortcut_type="B",
        bias_downsample=False,
        conv1_t_stride=2,
    )
    stem = (whole.conv1, whole.bn1, whole.act, whole.maxpool)
    return nn.Sequential(*stem, whole.layer1, whole.layer2, whole.layer3, whole.layer4)


def _densenet121() -> nn.Module:
    return nn.Sequential(
        DenseNet121(spatial_dims=2, in_channels=3, out_channels=1).features, nn.ReLU()
    )


ARCHITECTURES: dict[str, Architecture] = {
    "resnet34": Architecture(_resnet34, 512, _IMAGENET),
    "densenet121": Architecture(_densenet121, 1024, _IMAGENET),
    "efficientnet-lite0": Architecture(Lite0Features, LITE_CHANNELS, _LITE),
    "efficientnet-lite2": Architecture(Lite2Features, LITE_CHANNELS, _LITE),
}


class Network(nn.Module):
    """A backbone with a linear head for each task, behind its own normalisation.

    Args:
        architecture: One of `ARCHITECTURES`.
        heads: Task name -> number of labels, in the order of the logits.
        input_px: What the backbone sees: crops are resampled to it inside the network.
        dropout: Part of the pooled features that training silences.

    Raises:
        PermanentError: `unknown-architecture`.
    """

    mean: torch.Tensor
    std: torch.Tensor
    resample: torch.Tensor

    def __init__(
        self, architecture: str, heads: Mapping[str, int], input_px: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise PermanentError(
                "unknown-architecture",
                f"There is no network {architecture!r}; there are {', '.join(ARCHITECTURES)}.",
            )
        kind = ARCHITECTURES[architecture]
        self.heads = dict(heads)
        self.backbone = kind.build()
        self.head = nn.Linear(kind.channels, sum(heads.values()))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.dropout = nn.Dropout(dropout)
        mean, std = (torch.tensor(part).reshape(1, 3, 1, 1) for part in kind.normalisation)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.register_buffer("resample", resampling_matrix(CROP_PX, input_px), persistent=False)

    def forward(self, pixels: torch.Tensor) -> Answer:
        """Answer for crops of 0..1, shape (n, 3, CROP_PX, CROP_PX)."""
        features = self.maps(pixels).mean(dim=(2, 3))
        return Answer(self.head(self.dropout(features)), features)

    def maps(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the backbone's maps, shape (n, channels, h, w)."""
        seen = self.seen(pixels).contiguous(memory_format=torch.channels_last)
        out: torch.Tensor = self.backbone(seen)
        return out

    def seen(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the backbone sees, resampled and normalised."""
        return (self.resample @ pixels @ self.resample.mT - self.mean) / self.std

    def slices(self) -> dict[str, slice]:
        """Return where each head's logits lie."""
        return slices(self.heads)


_VIEWS = ((), (2,), (3,), (2, 3))
"""The axes along which a crop is mirrored, for each time that a serving graph looks at it."""
VIEWS = len(_VIEWS)


class ServingGraph(nn.Module):
    """What a bundle holds: uint8 crops in, some heads' logits and activation maps out.

    A smear has no up: with all views each crop is seen as it is and mirrored in both directions,
    and the answer is the mean, the same for a crop and its mirror image. The heads stand before the
    pooling as a 1 x 1 convolution: its maps are the class activation maps, and being linear it
    gives the logits.

    Args:
        network: Trained.
        tasks: Names of heads, in the order of the logits.
        views: How often each crop is seen, 1 to `VIEWS`: the work is in proportion.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, network: Network, tasks: Sequence[str], views: int = VIEWS) -> None:
        super().__init__()
        parts = [network.slices()[task] for task in tasks]
        weight, bias = network.head.weight.detach(), network.head.bias.detach()
        self.network = network
        self._views = _VIEWS[:views]
        self.register_buffer(
            "weight", torch.cat([weight[part] for part in parts])[:, :, None, None]
        )
        self.register_buffer("bias", torch.cat([bias[part] for part in parts]))

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer for bytes, shape (n, CROP_PX, CROP_PX, 3)."""
        pixels = crops.permute(0, 3, 1, 2).to(torch.float32) / 255
        seen = self.network.seen(pixels)
        views = torch.stack([seen.flip(view) for view in self._views])
        maps = self.network.backbone(views.flatten(0, 1)).unflatten(0, (len(self._views), -1))
        straight = [part.flip(view) for part, view in zip(maps.unbind(), self._views, strict=True)]
        activations = nnf.conv2d(sum(straight) / len(self._views), self.weight, self.bias)
        # Not a mean over axes: in ONNX Runtime the last bit of that depends on a crop's batch.
        return nnf.avg_pool2d(activations, activations.shape[2:]).flatten(1), activations


def resampling_matrix(source: int, target: int) -> torch.Tensor:
    """Return the weights, shape (target, source), that resample a line with a triangle filter.

    As two matrix products, resampling is the same arithmetic in PyTorch and in ONNX, and it
    averages where it shrinks, so that chromatin does not alias.
    """
    ratio = source / target
    reach = max(ratio, 1.0)
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) * ratio
    places = torch.arange(source, dtype=torch.float64) + 0.5
    weights = (1 - (places[None] - centres[:, None]).abs() / reach).clamp(min=0)
    return (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32)
