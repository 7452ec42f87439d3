"""EfficientNet-Lite0 and -Lite2 (Tan and Le 2019; TensorFlow's Lite variant), for their weights."""

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as nnf

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.tensor_file import read_tensors

CHANNELS = 1280
_STEM = 32
_STAGES = (
    # expansion, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_EPSILON, _MOMENTUM = 1e-3, 0.01


class LiteFeatures(nn.Module):
    """From pixels, shape (n, 3, h, w), to maps, shape (n, 1280, h / 32, w / 32).

    Attribute names follow the published state dict, so that it loads strictly.

    Args:
        width: Factor of the stages' channels; stem and head stay as they are.
        depth: Factor of the stages' blocks; the first and the last stage stay as they are.
    """

    def __init__(self, width: float, depth: float) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, _STEM, 3, stride=2)
        self._bn0 = _norm(_STEM)
        blocks: list[nn.Module] = []
        inputs = _STEM
        for stage, (expansion, kernel, stride, base, count) in enumerate(_STAGES):
            channels = _channels(base, width)
            ends = stage in (0, len(_STAGES) - 1)
            for index in range(count if ends else math.ceil(count * depth)):
                blocks.append(
                    InvertedResidual(inputs, channels, expansion, kernel, 1 if index else stride)
                )
                inputs = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(inputs, CHANNELS, 1)
        self._bn1 = _norm(CHANNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps before pooling."""
        return self.late(self.early(x, 0), 0)

    def early(self, x: torch.Tensor, blocks: int) -> torch.Tensor:
        """Return the maps after the stem and so many blocks."""
        x = nnf.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks[:blocks]:
            x = block(x)
        return x

    @property
    def block_count(self) -> int:
        """How many blocks lie between stem and head."""
        return len(self._blocks)

    def late_parts(self, blocks: int) -> list[nn.Module]:
        """Return what `late` computes with."""
        return [*self._blocks[blocks:], self._conv_head, self._bn1]

    def late(self, x: torch.Tensor, blocks: int) -> torch.Tensor:
        """Return the maps before pooling, from those after so many blocks."""
        for block in self._blocks[blocks:]:
            x = block(x)
        maps: torch.Tensor = nnf.relu6(self._bn1(self._conv_head(x)))
        return maps


class Lite0Features(LiteFeatures):
    """EfficientNet-Lite0."""

    def __init__(self) -> None:
        super().__init__(1.0, 1.0)


class Lite2Features(LiteFeatures):
    """EfficientNet-Lite2: a little wider and deeper, at about twice the work."""

    def __init__(self) -> None:
        super().__init__(1.1, 1.2)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        self._expands = expansion != 1
        if self._expands:
            self._expand_conv = SameConv(inputs, width, 1)
            self._bn0 = _norm(width)
        self._depthwise_conv = SameConv(width, width, kernel, stride=stride, groups=width)
        self._bn1 = _norm(width)
        self._project_conv = SameConv(width, outputs, 1)
        self._bn2 = _norm(outputs)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return maps of the output's channels."""
        y = nnf.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = nnf.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: torch.Tensor = x + y if self._adds else y
        return out


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: the odd pixel goes right and below."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
        """Convolve; the map shrinks by the stride alone."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in input.shape[2:]
        )
        if height or width:
            around = (width // 2, width - width // 2, height // 2, height - height // 2)
            input = nnf.pad(input, around)  # noqa: A001
        return nnf.conv2d(input, self.weight, None, self.stride, groups=self.groups)


def load_imagenet_weights(features: LiteFeatures, file: Path) -> None:
    """Load the published ImageNet weights, all but the 1000-class layer.

    Raises:
        PermanentError: `weights`: the file is missing or holds another network.
    """
    state = read_tensors(file, "weights", "a file of EfficientNet-Lite weights")
    try:
        features.load_state_dict({k: v for k, v in state.items() if not k.startswith("_fc.")})
    except RuntimeError as error:
        raise PermanentError(
            "weights", f"{file} does not hold {type(features).__name__}' weights: {error}"
        ) from error


def _channels(base: int, width: float) -> int:
    """Return the scaled number of channels, a multiple of 8 and at least nine tenths of it."""
    wanted = base * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)
