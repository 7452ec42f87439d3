"""What lies below a serving graph's heads, and the same graph with other heads."""

import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.answers import CROPS
from hemaline_train.learning.progress import counted
from hemaline_train.learning.shipped_weights import constants_of

Features = NDArray[np.float64]

_WEIGHT, _BIAS = "weight", "bias"
"""What a serving graph calls the constants of its heads (`learning.networks.ServingGraph`)."""
_FEATURES = "features"
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """All heads of a serving graph as one linear map of its pooled features.

    Attributes:
        weight: Shape (labels of all tasks, channels).
        bias: Shape (labels of all tasks,).
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def logits(self, features: Features) -> NDArray[np.float64]:
        """Return what the graph says of crops, shape (n, labels of all tasks)."""
        answers: NDArray[np.float64] = features @ self.weight.T + self.bias
        return answers


def heads_of(graph: bytes) -> Heads:
    """Return a serving graph's heads.

    Raises:
        PermanentError: `other-graph`: `hemaline-train export` did not write it.
    """
    model = onnx.load_model_from_string(graph)
    _head_node(model)
    constants = constants_of(model)
    weight, bias = (constants[name].double().numpy() for name in (_WEIGHT, _BIAS))
    return Heads(weight.reshape(len(bias), -1), bias)


def with_heads(graph: bytes, heads: Heads) -> bytes:
    """Return the graph with other heads; all below them stays bit for bit."""
    model = onnx.load_model_from_string(graph)
    _head_node(model)
    given = {_WEIGHT: heads.weight[:, :, None, None], _BIAS: heads.bias}
    # Heads of many labels may lie there in eight bits, which are gone with what unpacked them.
    unpacking = [node for node in model.graph.node if node.output[0] in given]
    packed = {name for node in unpacking for name in node.input}
    kept = [one for one in model.graph.initializer if one.name not in packed | given.keys()]
    for node in unpacking:
        model.graph.node.remove(node)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    model.graph.initializer.extend(
        numpy_helper.from_array(values.astype(np.float32), name) for name, values in given.items()
    )
    return bytes(model.SerializeToString())


def features_of(graph: bytes, pixels: NDArray[np.uint8], cache: Path) -> Features:
    """Return the means of a graph's last maps, shape (n, channels), and tell how far it is.

    Args:
        graph: A serving graph, whatever its heads: graphs that differ in them share what is kept.
        pixels: Crops, shape (n, CROP_PX, CROP_PX, 3).
        cache: A directory that keeps what was computed, a file for each graph.

    Raises:
        PermanentError: `other-graph`: `hemaline-train export` did not write it.
    """
    below = _below_heads(graph)
    file = cache / f"features-{sha256(below).hexdigest()[:16]}.npz"
    kept = _kept(file)
    names = [sha256(crop.tobytes()).hexdigest() for crop in pixels]
    new = [place for place, name in enumerate(names) if name not in kept]
    if new:
        session = onnxruntime.InferenceSession(below, providers=["CPUExecutionProvider"])
        batches = [new[start : start + _BATCH] for start in range(0, len(new), _BATCH)]
        for batch in counted(batches, f"batch of {_BATCH} cells"):
            (given,) = session.run([_FEATURES], {CROPS: np.ascontiguousarray(pixels[batch])})
            kept |= {names[place]: row for place, row in zip(batch, given, strict=True)}
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".npz", delete=False) as draft:
            np.savez(draft, names=np.array(list(kept)), features=np.stack(list(kept.values())))
        Path(draft.name).replace(file)
    return np.stack([kept[name] for name in names]).astype(np.float64)


def _kept(file: Path) -> dict[str, NDArray[np.float32]]:
    if not file.exists():
        return {}
    with np.load(file) as held:
        return dict(zip(held["names"].tolist(), held[_FEATURES], strict=True))


def _below_heads(graph: bytes) -> bytes:
    """Return the graph that ends before its heads, in the means of its last maps."""
    model = onnx.load_model_from_string(graph)
    maps = _head_node(model).input[0]
    names = [tensor.name for tensor in model.graph.input]
    model.graph.node.extend(
        [
            helper.make_node("GlobalAveragePool", [maps], ["pooled"], name="pooled-features"),
            helper.make_node("Flatten", ["pooled"], [_FEATURES], name="flat-features"),
        ]
    )
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info(_FEATURES, TensorProto.FLOAT, ["n", None])
    )
    del model.graph.value_info[:]
    whole = onnx.utils.Extractor(model).extract_model(names, [_FEATURES])
    return bytes(whole.SerializeToString(deterministic=True))


def _head_node(model: onnx.ModelProto) -> onnx.NodeProto:
    nodes: list[onnx.NodeProto] = list(model.graph.node)
    node = next((one for one in nodes if list(one.input[1:]) == [_WEIGHT, _BIAS]), None)
    if node is None or node.op_type != "Conv":
        raise PermanentError(
            "other-graph",
            "A graph of this bundle has no heads that could be taught: take one that "
            "`hemaline-train export` wrote.",
        )
    return node
