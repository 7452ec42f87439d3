"""Networks with the statistics of real answers, and their graphs."""

from functools import cache

import numpy as np
import torch

from hemaline_train.bundles.export import onnx_graph
from hemaline_train.learning.networks import Network

SIDE = 64
HEADS = {"kind": 3, "other": 2}
"""How many labels each task has."""


def crops(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)


def as_pixels(given: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255


def used_network(architecture: str) -> Network:
    """Return a network whose normalisations have seen something."""
    torch.manual_seed(0)
    network = Network(architecture, HEADS, SIDE)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the average of all that is seen
    network.train()
    with torch.no_grad():
        network(as_pixels(crops()))
        for name, parameter in network.named_parameters():
            if "bias" in name:
                parameter.normal_(std=0.1)
    return network.eval()


@cache
def graph_of(architecture: str) -> bytes:
    """Return the graph of `used_network`; an export takes a quarter of a minute."""
    return onnx_graph(used_network(architecture), list(HEADS))
