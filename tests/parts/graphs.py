"""Builds ONNX graphs layer by layer, without a training framework."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hemaline_cloud.inference.graph import INPUT_NAME, LOGITS_NAME, MAPS_NAME
from hemaline_shared.pixels.crops import CROP_PX

OPSET = 20
_IR_VERSION = 10
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class GraphBuilder:
    """Grows one graph from uint8 crops, shape (n, CROP_PX, CROP_PX, 3), to logits and maps.

    Weights are drawn from `seed` alone (He initialisation), so the same seed gives the same file.
    Layers take and return tensor names; feature maps have shape (n, channels, height, width).
    """

    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._channels: dict[str, int] = {}

    def channels(self, tensor: str) -> int:
        """Return how many channels a feature map has."""
        return self._channels[tensor]

    def normalised_crops(self) -> str:
        """Turn the input's bytes into normalised channels, inside the graph: nobody can drift."""
        scale = np.array([1 / (255 * std) for std in _STD], np.float32)
        shift = np.array([-mean / std for mean, std in zip(_MEAN, _STD, strict=True)], np.float32)
        pixels = self._add("Cast", [INPUT_NAME], 3, to=TensorProto.FLOAT)
        scaled = self._add("Mul", [pixels, self._weight("scale", scale)], 3)
        shifted = self._add("Add", [scaled, self._weight("shift", shift)], 3)
        return self._add("Transpose", [shifted], 3, perm=[0, 3, 1, 2])

    def conv(self, x: str, channels: int, size: int, *, stride: int = 1) -> str:
        """Convolve with a square kernel, padded so that only the stride shrinks the map."""
        inputs = self._channels[x]
        deviation = math.sqrt(2 / (inputs * size * size))
        kernel = self._random.standard_normal((channels, inputs, size, size), np.float32)
        weight = self._weight("kernel", kernel * np.float32(deviation))
        return self._add(
            "Conv",
            [x, weight],
            channels,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
        )

    def norm(self, x: str, gain: float = 1.0) -> str:
        """Batch normalisation as an untrained network has it: mean 0, variance 1."""
        ones = np.ones(self._channels[x], np.float32)
        names = [
            self._weight("gain", ones * np.float32(gain)),
            self._weight("bias", ones * 0),
            self._weight("mean", ones * 0),
            self._weight("variance", ones),
        ]
        return self._add("BatchNormalization", [x, *names], self._channels[x])

    def relu(self, x: str) -> str:
        """Rectify."""
        return self._add("Relu", [x], self._channels[x])

    def add(self, x: str, y: str) -> str:
        """Add two maps of one shape."""
        return self._add("Add", [x, y], self._channels[x])

    def concat(self, parts: Sequence[str]) -> str:
        """Join maps along their channels."""
        channels = sum(self._channels[part] for part in parts)
        return self._add("Concat", parts, channels, axis=1)

    def max_pool(self, x: str) -> str:
        """Halve the map: the largest of each 3x3 neighbourhood."""
        return self._add(
            "MaxPool", [x], self._channels[x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
        )

    def average_pool(self, x: str) -> str:
        """Halve the map: the mean of each 2x2 square."""
        return self._add("AveragePool", [x], self._channels[x], kernel_shape=[2, 2], strides=[2, 2])

    def finish(self, features: str, classes: int) -> onnx.ModelProto:
        """Close the graph: one map a class, whose mean is the class's logit.

        The linear layer stands before the pooling, where it is the class activation map; being
        linear, it gives the same logits, and a crop's logits do not depend on its batch's size.
        """
        maps = self.conv(features, classes, 1)
        self._nodes.append(helper.make_node("Identity", [maps], [MAPS_NAME]))
        # Not ReduceMean: in ONNX Runtime its last bit depends on the crop's place in the batch.
        means = self._add("GlobalAveragePool", [maps], classes)
        self._nodes.append(helper.make_node("Flatten", [means], [LOGITS_NAME]))
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [_tensor(INPUT_NAME, TensorProto.UINT8, ["n", CROP_PX, CROP_PX, 3])],
            [
                _tensor(LOGITS_NAME, TensorProto.FLOAT, ["n", classes]),
                _tensor(MAPS_NAME, TensorProto.FLOAT, ["n", classes, "h", "w"]),
            ],
            self._weights,
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION)

    def _weight(self, kind: str, values: NDArray[Any]) -> str:
        name = f"{kind}_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _add(
        self, operator: str, inputs: Sequence[str], channels: int, **attributes: int | list[int]
    ) -> str:
        output = f"{operator.lower()}_{len(self._nodes)}"
        node = helper.make_node(operator, inputs, [output])
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self._nodes.append(node)
        self._channels[output] = channels
        return output


def _tensor(name: str, kind: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
