"""Shrink a serving graph to eight bits, calibrated on real crops: a quarter of the size."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from hemaline_train.bundles.answers import CROPS

MOST_LOST = 0.005
"""What eight bits may cost of balanced accuracy in any task. A network that loses more to eight-bit
activations keeps these in float32, and only its weights are shrunk."""

_BATCH = 8
_QUANTISED = ("Conv", "Relu", "Add", "MaxPool")
"""Not MatMul: the resampling of the crops stays exact. Not Concat and AveragePool: they would force
one range on all that DenseNet joins (over 100 crops its logits strayed by 0.168, now by 0.006)."""
_LARGE = 1 << 14
"""Weights of a kernel. With smaller ones left alone, and those of single channels, the logits of
EfficientNet-Lite0 stray by 0.026 (root mean square) instead of 0.069 or more."""
_ACTIVATIONS = ("Relu", "Clip")


class _Crops(CalibrationDataReader):
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = iter(
            np.array_split(pixels, max(1, len(pixels) // _BATCH))
        )

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {CROPS: np.ascontiguousarray(batch)}


def quantise(graph: bytes, pixels: NDArray[np.uint8]) -> bytes:
    """Return the graph with int8 weights, a scale for each channel, and uint8 activations.

    Args:
        graph: With float32 weights.
        pixels: Crops to calibrate the activations' ranges by, shape (n, CROP_PX, CROP_PX, 3); of
            samples that are trained on, so that those that judge stay unseen.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, tidy, small = (Path(folder) / name for name in ("a.onnx", "b.onnx", "c.onnx"))
        source.write_bytes(graph)
        quant_pre_process(source, tidy, skip_symbolic_shape=True)
        quantize_static(
            tidy,
            small,
            _Crops(pixels),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(_QUANTISED),
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=_after_the_backbone(tidy),
        )
        return small.read_bytes()


def quantise_weights(graph: bytes) -> bytes:
    """Return the graph with its large kernels in int8, a scale for each channel, run in float32.

    For networks whose activations eight bits are too few for: nearly as small as `quantise` makes
    it, slower on a CPU, and all but exact. Small kernels and those of single channels hold little
    and spoil most.
    """
    model = onnx.load_model_from_string(graph)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        kernel = constants.get(node.input[1]) if node.op_type == "Conv" else None
        if kernel is not None and _is_worth_it(kernel):
            small, scale = _rounded(numpy_helper.to_array(kernel))
            parts = [f"{kernel.name}_int8", f"{kernel.name}_scale"]
            del constants[kernel.name]
            constants[parts[0]] = numpy_helper.from_array(small, parts[0])
            constants[parts[1]] = numpy_helper.from_array(scale, parts[1])
            nodes.append(helper.make_node("DequantizeLinear", parts, [kernel.name], axis=0))
        nodes.append(node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants.values())
    return bytes(model.SerializeToString())


def _is_worth_it(kernel: onnx.TensorProto) -> bool:
    channels_in: int = kernel.dims[1]
    return channels_in > 1 and math.prod(kernel.dims) >= _LARGE


def _rounded(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a convolution's kernel in int8 and the scale of each output channel."""
    scale = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)), 1e-12) / np.iinfo(np.int8).max
    small = np.rint(kernel / scale[:, None, None, None])
    return small.astype(np.int8), scale.astype(np.float32)


def _after_the_backbone(file: Path) -> list[str]:
    """Return the nodes after the last activation: views, heads and pooling keep their precision."""
    nodes = onnx.load(file, load_external_data=False).graph.node
    last = max(place for place, node in enumerate(nodes) if node.op_type in _ACTIVATIONS)
    return [node.name for node in nodes[last + 1 :]]
