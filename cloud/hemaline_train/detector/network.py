"""The detector's network: small, fully convolutional, plain layers that OpenCV runs fast."""

import math

import torch
from torch import nn

from hemaline_shared.pixels.leukocytes.answers import STRIDE
from hemaline_shared.pixels.leukocytes.view import CHANNELS
from hemaline_train.detector.fields import KINDS, WHITE

_RARE = 0.02
"""The heat that an untrained network answers everywhere: most places are no centre."""

_MOST_EXTENT = 4.0
"""Natural logarithm of the largest distance to a cell's edge, in steps of STRIDE: 65 µm."""


class Detector(nn.Module):
    """Answers heat and extents for each STRIDE pixels of a view."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.quarter = nn.Sequential(
            _layer(CHANNELS, width // 2, stride=2), _layer(width // 2, width, stride=2), _Two(width)
        )
        self.eighth = nn.Sequential(_layer(width, 2 * width, stride=2), _Two(2 * width))
        self.sixteenth = nn.Sequential(
            _layer(2 * width, 4 * width, stride=2), _Two(4 * width), _Two(4 * width)
        )
        self.to_eighth = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.join_eighth = _layer(2 * width, 2 * width)
        self.to_quarter = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.join_quarter = _layer(width, width)
        last = nn.Conv2d(3 * width // 2, KINDS + 4, 1)
        self.head = nn.Sequential(_layer(width, 3 * width // 2), last)
        assert last.bias is not None
        nn.init.constant_(last.bias[:KINDS], math.log(_RARE / (1 - _RARE)))
        nn.init.constant_(last.bias[KINDS:], math.log(5.0))

    def forward(self, view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer views of shape (n, CHANNELS, rows, columns), both multiples of 16.

        Returns:
            Logits of heat, (n, KINDS, rows / STRIDE, columns / STRIDE), and extents in pixels of
            the view, left, top, right, bottom, (n, 4, rows / STRIDE, columns / STRIDE).
        """
        quarter = self.quarter(view)
        eighth = self.eighth(quarter)
        eighth = self.join_eighth(eighth + self.to_eighth(self.sixteenth(eighth)))
        quarter = self.join_quarter(quarter + self.to_quarter(eighth))
        answer = self.head(quarter).float()
        return answer[:, :KINDS], STRIDE * answer[:, KINDS:].clamp(max=_MOST_EXTENT).exp()


class ServedDetector(nn.Module):
    """What is exported: one tensor of shape (n, MAPS, rows / STRIDE, columns / STRIDE)."""

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = network

    def forward(self, view: torch.Tensor) -> torch.Tensor:
        """Answer how likely a white cell's centre lies here, and its extents."""
        heat, extents = self.network(view)
        return torch.cat([heat[:, WHITE : WHITE + 1].sigmoid(), extents], dim=1)


class _Two(nn.Module):
    """Two layers and a way round them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _layer(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(maps + self.second(self.first(maps)))


def _layer(given: int, made: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(inplace=True),
    )
