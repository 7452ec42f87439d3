"""The frozen EfficientNet-Lite0 that every network must beat: its ImageNet features as rows."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.classical.features import Matrix
from hemaline_train.learning.lite0 import Lite0Features, load_imagenet_weights

WEIGHTS_FILE = "efficientnet-lite0-57934424.pth"
_BATCH = 32


@torch.inference_mode()
def describe_by_lite0(weights: Path | None, pixels: NDArray[np.uint8]) -> Matrix:
    """Return the mean of the last maps for each picture, shape (n, 1280).

    Raises:
        PermanentError: `weights`: there is no directory of weights, or not this file in it.
    """
    if weights is None:
        raise PermanentError("weights", "Name the directory of published weights with --weights.")
    network = Lite0Features()
    load_imagenet_weights(network, weights / WEIGHTS_FILE)
    network.eval()
    parts = []
    for start in range(0, len(pixels), _BATCH):
        taken = torch.from_numpy(np.ascontiguousarray(pixels[start : start + _BATCH]))
        scaled = (taken.permute(0, 3, 1, 2).to(torch.float32) - 127) / 128
        parts.append(network(scaled).mean(dim=(2, 3)).numpy())
    return np.concatenate(parts).astype(np.float32)
