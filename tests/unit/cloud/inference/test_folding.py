"""An eight-bit graph folds back to the float32 network that it was rounded from."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from hemaline_cloud.inference import runtime
from hemaline_cloud.inference.bundle import ModelBundle
from hemaline_cloud.inference.folding import fold, halved, is_quantised, keeps_floats
from hemaline_cloud.inference.runtime import Networks
from hemaline_train.bundles import quantise
from parts.bundles import tiny_manifest
from parts.graphs import GraphBuilder
from parts.queued import smooth_crops

_CROPS = np.stack(smooth_crops(12))


class _Crops(CalibrationDataReader):
    def __init__(self):
        self._batches = iter([{"crops": _CROPS}])

    def get_next(self):
        return next(self._batches, None)


def _network():
    """What both architectures are made of: a residual sum, a concatenation, pooling."""
    graph = GraphBuilder("small", 5)
    x = graph.max_pool(graph.relu(graph.conv(graph.normalised_crops(), 6, 7, stride=4)))
    x = graph.relu(graph.add(x, graph.conv(graph.relu(graph.conv(x, 6, 3)), 6, 3)))
    x = graph.average_pool(graph.concat([x, graph.relu(graph.conv(x, 4, 3, stride=1))]))
    return graph.finish(graph.relu(graph.conv(x, 8, 1)), 3)


@pytest.fixture(scope="module", params=[QuantType.QUInt8, QuantType.QInt8], ids=["uint8", "int8"])
def eight_bits(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantised")
    onnx.save(_network(), folder / "a.onnx")
    quantize_static(
        folder / "a.onnx",
        folder / "b.onnx",
        _Crops(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=request.param,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Relu", "Add", "Concat", "MaxPool", "AveragePool"],
    )
    return (folder / "b.onnx").read_bytes()


def _run(graph):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(["logits", "activation_maps"], {"crops": _CROPS})


def test_a_folded_graph_has_no_eight_bit_tensor(eight_bits):
    assert is_quantised(eight_bits)
    folded = onnx.load_model_from_string(fold(eight_bits))
    onnx.checker.check_model(folded, full_check=True)
    assert not is_quantised(folded.SerializeToString())
    assert {tensor.data_type for tensor in folded.graph.initializer} <= {
        TensorProto.FLOAT,
        TensorProto.INT64,
    }


def test_a_folded_graph_answers_as_the_eight_bit_one_does(eight_bits):
    (logits, maps), (folded, folded_maps) = _run(eight_bits), _run(fold(eight_bits))
    spread = np.ptp(logits)
    np.testing.assert_allclose(folded, logits, atol=0.03 * spread)
    np.testing.assert_allclose(folded_maps, maps, atol=0.06 * np.ptp(maps))
    assert np.array_equal(folded.argmax(axis=1), logits.argmax(axis=1))


def test_half_precision_takes_and_gives_what_the_graph_did_and_answers_alike(eight_bits):
    half = halved(fold(eight_bits))
    kinds = {one.data_type for one in onnx.load_model_from_string(half).graph.initializer}
    assert TensorProto.FLOAT16 in kinds
    assert TensorProto.FLOAT not in kinds
    (logits, maps), (whole, whole_maps) = _run(half), _run(fold(eight_bits))
    assert logits.dtype == maps.dtype == np.float32
    np.testing.assert_allclose(logits, whole, atol=0.01 * np.ptp(whole))
    np.testing.assert_allclose(maps, whole_maps, atol=0.01 * np.ptp(whole_maps))


def test_folding_keeps_only_the_rounding_of_the_weights(eight_bits):
    exact, _ = _run(_network().SerializeToString())
    logits, _ = _run(eight_bits)
    folded, _ = _run(fold(eight_bits))
    assert np.abs(folded - exact).mean() < np.abs(logits - exact).mean()


def test_a_rectifier_that_quantisation_left_out_comes_back():
    tensors = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("zero", TensorProto.UINT8, [], [0]),
        helper.make_tensor("middle", TensorProto.UINT8, [], [128]),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "middle"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "middle"], ["signed"]),
        helper.make_node("QuantizeLinear", ["signed", "scale", "zero"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "scale", "zero"], ["y"]),
    ]
    folded = _fold(nodes, tensors)
    assert folded(np.array([-3, -0.5, 0, 2.25], np.float32)).tolist() == [0, 0, 0, 2.25]


def test_weights_are_scaled_by_their_own_channel():
    values = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    tensors = [
        numpy_helper.from_array(values, "w8"),
        numpy_helper.from_array(np.array([1, 10, 100], np.float32), "scales"),
        numpy_helper.from_array(np.array([0, 1, 0], np.int8), "zeros"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["w8", "scales", "zeros"], ["w"], axis=0),
        helper.make_node("MatMul", ["w", "x"], ["y"]),
    ]
    folded = _fold(nodes, tensors)
    expected = (values - [[0], [1], [0]]) * [[1], [10], [100]] @ np.ones(4)
    assert folded(np.ones(4, np.float32)).tolist() == expected.tolist()


def _fold(nodes, tensors):
    """Fold a graph from `x` to `y`; return what it computes."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph(nodes, "hand", ends[:1], ends[1:], tensors)
    opset = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    folded = fold(model.SerializeToString())
    assert not is_quantised(folded)
    session = onnxruntime.InferenceSession(folded, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["y"], {"x": x})[0]


@pytest.fixture
def weights_in_eight_bits(monkeypatch):
    monkeypatch.setattr(quantise, "_LARGE", 1)  # the test's network has small kernels only
    return quantise.quantise_weights(_network().SerializeToString())


def test_weights_alone_in_eight_bits_fold_to_the_very_same_network(weights_in_eight_bits):
    assert keeps_floats(weights_in_eight_bits)
    both = _run(weights_in_eight_bits), _run(fold(weights_in_eight_bits))
    for given, folded in zip(*both, strict=True):
        np.testing.assert_allclose(folded, given, atol=1e-5 * np.ptp(given))


@pytest.fixture
def started_with(monkeypatch):
    """Return which graph a session gets for a bundle's graph on a device."""
    start = onnxruntime.InferenceSession
    everything = ["CPUExecutionProvider", "CUDAExecutionProvider"]
    monkeypatch.setattr(runtime.onnxruntime, "get_available_providers", lambda: everything)
    monkeypatch.setattr(runtime, "require_active", lambda *_: None)

    def run(graph, device):
        started = []

        def session(given, options, providers):
            started.append(given)
            return start(given, options, providers=["CPUExecutionProvider"])

        monkeypatch.setattr(runtime.onnxruntime, "InferenceSession", session)
        manifest = tiny_manifest({"net.onnx": graph})
        Networks(ModelBundle(manifest, "0" * 64, {"net": graph}), device).close()
        return started[0]

    return run


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_eight_bits_that_a_processor_computes_with_are_folded_for_cuda_only(
    eight_bits, device, started_with
):
    assert keeps_floats(eight_bits) is False
    assert is_quantised(started_with(eight_bits, device)) == (device == "cpu")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_weights_in_eight_bits_are_made_floats_once_on_every_device(
    weights_in_eight_bits, device, started_with
):
    assert is_quantised(weights_in_eight_bits)
    assert not is_quantised(started_with(weights_in_eight_bits, device))
