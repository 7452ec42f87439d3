"""What ImageNet's networks see in crops without any training: their last maps' means."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.efficientnet_lite import (
    Lite0Features,
    Lite2Features,
    LiteFeatures,
    load_imagenet_weights,
)

_BATCH = 32

WEIGHTS: Mapping[str, str] = MappingProxyType(
    {
        "efficientnet-lite0": "efficientnet-lite0-57934424.pth",
        "efficientnet-lite2": "efficientnet-lite2-9656183e.pth",
    }
)
"""Architecture -> the file of its published weights."""
_FEATURES: Mapping[str, Callable[[], LiteFeatures]] = MappingProxyType(
    {"efficientnet-lite0": Lite0Features, "efficientnet-lite2": Lite2Features}
)


@torch.inference_mode()
def frozen_features(
    architecture: str, weights: Path | None, pixels: NDArray[np.uint8], side: int = 0
) -> NDArray[np.float32]:
    """Return the mean of the last maps for each picture, shape (n, channels).

    Args:
        architecture: One of `WEIGHTS`.
        weights: Where the files of published weights are.
        pixels: Shape (n, height, width, 3).
        side: To which they are shrunk first; 0 to take them as they are.

    Raises:
        PermanentError: `weights`: there is no directory of weights, or not this file in it.
    """
    if weights is None:
        raise PermanentError("weights", "Name the directory of published weights with --weights.")
    network = _FEATURES[architecture]()
    load_imagenet_weights(network, weights / WEIGHTS[architecture])
    network.eval()
    parts = []
    for start in range(0, len(pixels), _BATCH):
        taken = torch.from_numpy(_shrunk(pixels[start : start + _BATCH], side))
        scaled = (taken.permute(0, 3, 1, 2).to(torch.float32) - 127) / 128
        parts.append(network(scaled).mean(dim=(2, 3)).numpy())
    return np.concatenate(parts).astype(np.float32)


def _shrunk(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if not side:
        return np.array(pixels)
    small = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in pixels]
    return np.asarray(small, np.uint8)
