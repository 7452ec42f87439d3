"""Folds an eight-bit graph back to floats, for devices that are slower with eight bits.

A quantised graph marks its tensors with QuantizeLinear and DequantizeLinear pairs. A processor's
kernels swallow them; CUDA's run each of them, and then the float kernel as well. Where only weights
are in eight bits there is no pair to swallow: on a processor, too, each batch turns every weight
into a float again, and no kernel finds a constant that it could lay out for its registers.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

_KEEP_SIGN = {"MaxPool", "AveragePool", "Concat", "Add", "Identity"}
"""Operators that make nothing negative of what is not."""


def is_quantised(graph: bytes) -> bool:
    """Return whether a graph carries eight-bit tensors."""
    nodes = onnx.load_model_from_string(graph).graph.node
    return any(node.op_type == "DequantizeLinear" for node in nodes)


def keeps_floats(graph: bytes) -> bool:
    """Return whether a graph has eight bits in its weights only: folded, it computes the same."""
    nodes = onnx.load_model_from_string(graph).graph.node
    return not any(node.op_type == "QuantizeLinear" for node in nodes)


def fold(graph: bytes) -> bytes:
    """Return the same network without eight-bit tensors, its weights as they were rounded.

    The range of an unsigned tensor that starts at zero is a rectifier: quantisation leaves Relu out
    where that range does its work, so Relu comes back in its place. The upper ends of the ranges
    are dropped; they only cut off what no calibration crop reached.
    """
    model = onnx.load_model_from_string(graph)
    folding = _Folding(model.graph)
    folding.run()
    return bytes(model.SerializeToString())


def halved(graph: bytes) -> bytes:
    """Return the same network computing in half precision, between the inputs and outputs it had.

    Tensor cores are fastest with it, and eight-bit weights are far coarser.
    """
    model = onnx.load_model_from_string(graph)
    return bytes(convert_float_to_float16(model, keep_io_types=True).SerializeToString())


class _Folding:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._outputs = {output.name for output in graph.output}
        self._readers: dict[str, set[str]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, set()).add(node.op_type)
        self._renamed: dict[str, str] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._rectified: set[str] = set()

    def run(self) -> None:
        """Rewrite the graph in place."""
        for node in self._graph.node:
            if self._folds_constant(node) or self._folds_pair(node):
                continue
            kept = onnx.NodeProto()
            kept.CopyFrom(node)
            kept.input[:] = [self._renamed.get(name, name) for name in node.input]
            self._keep(kept)
        used = {name for node in self._nodes for name in node.input} | self._outputs
        weights = [*self._graph.initializer, *self._weights]
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        del self._graph.initializer[:]
        self._graph.initializer.extend(one for one in weights if one.name in used)
        del self._graph.value_info[:]  # of tensors that are no longer there

    def _folds_constant(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "DequantizeLinear" or node.input[0] not in self._constants:
            return False
        values = numpy_helper.to_array(self._constants[node.input[0]])
        scale, zero = self._scale(node)
        if scale.ndim:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            shape = [-1 if place == axis % values.ndim else 1 for place in range(values.ndim)]
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        exact = (values.astype(np.float32) - zero) * scale
        self._weights.append(numpy_helper.from_array(exact.astype(np.float32), node.output[0]))
        return True

    def _folds_pair(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "QuantizeLinear":
            if self._readers.get(node.output[0], set()) - {"DequantizeLinear"}:
                return False  # something computes with eight bits; it stays as it is
            self._renamed[node.output[0]] = self._source(node)
            return True
        if node.op_type != "DequantizeLinear" or node.input[0] not in self._renamed:
            return False
        source = self._renamed[node.input[0]]
        if node.output[0] in self._outputs:
            self._keep(helper.make_node("Identity", [source], [node.output[0]]))
        self._renamed[node.output[0]] = source
        return True

    def _source(self, quantize: onnx.NodeProto) -> str:
        """Return the tensor that a pair stands for, rectified where its range starts at zero."""
        source: str = self._renamed.get(quantize.input[0], quantize.input[0])
        _, zero = self._scale(quantize)
        if source in self._rectified or np.any(zero != self._lowest(quantize)):
            return source
        rectified = f"{quantize.output[0]}_rectified"
        self._keep(helper.make_node("Relu", [source], [rectified]))
        return rectified

    def _keep(self, node: onnx.NodeProto) -> None:
        self._nodes.append(node)
        keeps = node.op_type in _KEEP_SIGN and self._rectified.issuperset(node.input)
        if node.op_type == "Relu" or keeps:
            self._rectified.update(node.output)

    def _scale(self, node: onnx.NodeProto) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scale = numpy_helper.to_array(self._constants[node.input[1]]).astype(np.float32)
        if len(node.input) < 3 or not node.input[2]:
            return scale, np.zeros_like(scale)
        return scale, numpy_helper.to_array(self._constants[node.input[2]]).astype(np.float32)

    def _lowest(self, node: onnx.NodeProto) -> float:
        """Return the smallest value of a quantised tensor's type."""
        if len(node.input) < 3 or not node.input[2]:
            return 0.0
        kind = numpy_helper.to_array(self._constants[node.input[2]]).dtype
        return float(np.iinfo(kind).min)
