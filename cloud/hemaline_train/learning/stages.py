"""Where a network's last stage begins, so that it alone can learn."""

import torch
from torch import nn

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.efficientnet_lite import LiteFeatures
from hemaline_train.learning.networks import Network


class _LiteEarly(nn.Module):
    def __init__(self, features: LiteFeatures, blocks: int) -> None:
        super().__init__()
        self.features, self.blocks = features, blocks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.features.early(x, self.blocks)


class _LiteLate(nn.Module):
    def __init__(self, features: LiteFeatures, blocks: int) -> None:
        super().__init__()
        self.features, self.blocks = features, blocks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.features.late(x, self.blocks)

    def parts(self) -> list[nn.Module]:
        return self.features.late_parts(self.blocks)


def stages_of(network: Network) -> tuple[nn.Module, nn.Module]:
    """Return what comes before a network's last stage, and the last stage.

    ResNet-34's is its last three blocks, DenseNet-121's its last dense block, and EfficientNet's
    all after the first block of 7 x 7 maps.

    Raises:
        PermanentError: `last-stage`: nobody has said where this architecture's begins.
    """
    whole = network.backbone
    if isinstance(whole, LiteFeatures):
        first = whole.block_count - 4
        return _LiteEarly(whole, first), _LiteLate(whole, first)
    assert isinstance(whole, nn.Sequential)
    if isinstance(whole[0], nn.Conv2d):
        *before, last = whole.children()
        return nn.Sequential(*before), last
    if isinstance(whole[0], nn.Sequential):
        parts = dict(whole[0].named_children())
        at = list(parts).index("denseblock4")
        layers = list(parts.values())
        return nn.Sequential(*layers[:at]), nn.Sequential(*layers[at:], *list(whole.children())[1:])
    raise PermanentError("last-stage", "This architecture's last stage is not known.")


def freeze_early(network: Network) -> None:
    """Let only the last stage and the heads learn."""
    late = stages_of(network)[1]
    kept = late_parameters(network, late)
    for parameter in network.parameters():
        parameter.requires_grad = False
    for parameter in kept:
        parameter.requires_grad = True


def late_parameters(network: Network, late: nn.Module) -> list[nn.Parameter]:
    """Return what the last stage and the heads learn."""
    parts = late.parts() if isinstance(late, _LiteLate) else [late]
    return [one for part in (*parts, network.head) for one in part.parameters()]
