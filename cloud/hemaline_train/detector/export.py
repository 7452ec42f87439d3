"""Write a trained detector as the ONNX graph that the finder loads, checked against PyTorch."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.leukocytes.view import CHANNELS, view_of_field
from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.stain import FloatImage
from hemaline_train.data.pictures import read_picture
from hemaline_train.detector.fields import split_images
from hemaline_train.detector.network import ServedDetector
from hemaline_train.detector.train import trained_detector
from hemaline_train.to_onnx import to_onnx

OPSET = 18
PARITY = 1e-3
"""The largest difference, of a likelihood or of an extent over the field's size, that rounding
may make between PyTorch and OpenCV."""

_PARITY_FIELDS = 16


def export_detector(checkpoint: Path, data: Path, graph: Path) -> str:
    """Write the graph and return its SHA-256.

    Raises:
        PermanentError: The checkpoint or the data cannot be read, `no-data`: no field is there to
            compare on, or `parity`.
    """
    config, network = trained_detector(checkpoint)
    _, judged = split_images(config, data)
    served = ServedDetector(network).eval()
    weights = to_onnx(
        served, torch.zeros(1, CHANNELS, 160, 192), opset=OPSET, takes="view", gives=["answer"]
    )
    images = [image for each in judged.values() for image in each][:_PARITY_FIELDS]
    pixels = [read_picture(image.path) for image in images]
    check_parity(served, weights, [view_of_field(one, estimate_scale(one))[0] for one in pixels])
    graph.write_bytes(weights)
    return hashlib.sha256(weights).hexdigest()


def check_parity(served: ServedDetector, weights: bytes, views: Sequence[FloatImage]) -> float:
    """Compare OpenCV's answers with PyTorch's, also where views differ in shape.

    Returns:
        The largest difference.

    Raises:
        PermanentError: `parity`: it is more than rounding.
    """
    net = cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8))
    apart = 0.0
    for view in views:
        net.setInput(view[None])
        given = np.asarray(net.forward()[0])
        with torch.inference_mode():
            expected = served(torch.from_numpy(view[None]))[0].numpy()
        largest = np.abs(given - expected).max(axis=(1, 2)) / np.array([1, *[max(view.shape)] * 4])
        apart = max(apart, float(largest.max()))
    if apart > PARITY:
        raise PermanentError(
            "parity", f"The exported detector strays from the network by {apart:.2g}."
        )
    return apart
