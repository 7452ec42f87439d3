"""Shrink a serving graph to eight bits, calibrated on real crops: a quarter of the size."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from hemaline_train.bundle import CROPS

_BATCH = 8
_QUANTISED = ("Conv", "Relu", "Add", "Concat", "MaxPool", "AveragePool")
"""Not MatMul: the resampling of the crops stays exact."""


class _Crops(CalibrationDataReader):  # type: ignore[misc]
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
            nodes_to_exclude=_head_nodes(tidy),
        )
        return small.read_bytes()


def _head_nodes(file: Path) -> list[str]:
    """Return the convolution that makes the activation maps: logits keep their precision."""
    graph = onnx.load(file, load_external_data=False).graph
    makers = {output: node for node in graph.node for output in node.output}
    maps = makers[graph.output[1].name]
    return [maps.name] if maps.op_type == "Conv" else []
