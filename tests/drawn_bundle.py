"""A bundle that runs without PyTorch: its networks answer by the mean colour of a crop."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hemaline_shared.model_manifest import Calibration
from hemaline_train.bundles.answers import CROPS, LOGITS
from hemaline_train.bundles.bundle import Bundle, ServedNetwork, write_bundle
from hemaline_train.data.tasks import CELL_CLASS


def colour_graph(seed: int) -> bytes:
    """Return a graph whose blasts are pale and whose lymphocytes are dark, with a little noise."""
    weights = np.random.default_rng(seed).normal(0, 0.002, (3, len(CELL_CLASS.labels)))
    weights[:, CELL_CLASS.index("blast")] = 0.0
    weights[:, CELL_CLASS.index("lymphocyte")] = 0.01 * (1 + seed)
    bias = np.full(len(CELL_CLASS.labels), -3.0)
    bias[[CELL_CLASS.index("blast"), CELL_CLASS.index("lymphocyte")]] = (0, -6 * (1 + seed))
    shape = ["n", 224, 224, 3]
    nodes = [
        helper.make_node("Cast", [CROPS], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], [LOGITS]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info(CROPS, TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["n", len(CELL_CLASS.labels)])],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def colour_bundle(folder: Path, data_sets: dict[str, float], fold: int = -1) -> Path:
    """Write a bundle of two networks that says it was trained on these data sets."""
    config = {
        "name": "colour",
        "architecture": "resnet34",
        "data_sets": data_sets,
        "fold": fold,
        "teachers": ["lite0-early"],
    }
    parity = {"crops": 4, "largest_difference": 0.0, "same_answers": 4}
    networks = tuple(
        ServedNetwork(name, colour_graph(seed), {"cell-class": Calibration(temperature=1.2)})
        for seed, name in enumerate(("resnet34", "densenet121"))
    )
    runs = [{"config": config, "parity": parity}]
    points = {"cell-class": (0.5,) * len(CELL_CLASS.labels)}
    write_bundle(folder, Bundle(folder.name, (CELL_CLASS,), networks, {"runs": runs}, points))
    return folder
