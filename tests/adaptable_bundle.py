"""A bundle whose heads can be taught: its networks see the mean colours of quarters of a crop."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from drawn_sets import draw_cell
from hemaline_shared.model_manifest import Calibration
from hemaline_train.bundles.answers import CROPS, LOGITS, MAPS
from hemaline_train.bundles.bundle import Bundle, ServedNetwork, write_bundle
from hemaline_train.data.manifest_rows import write_rows
from hemaline_train.data.tasks import APL, CELL_CLASS, CELL_FINE

TASKS = (CELL_CLASS, CELL_FINE, APL)


def colour_heads(seed: int = 0, likely: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return heads that know nothing and mostly name the label at one place."""
    labels = sum(len(task.labels) for task in TASKS)
    dice = np.random.default_rng(seed)
    bias = np.zeros(labels, np.float32)
    bias[likely] = 2.0
    return dice.normal(0, 0.1, (labels, 3, 1, 1)).astype(np.float32), bias


def adaptable_graph(seed: int = 0, *, packed: bool = False) -> bytes:
    """Return a serving graph as `export` makes it; `packed`: with heads in eight bits."""
    weight, bias = colour_heads(seed)
    scale = np.float32(np.abs(weight).max() / 127)
    small = np.rint(weight / scale).astype(np.int8)
    unpack = helper.make_node("DequantizeLinear", ["weight_int8", "weight_scale"], ["weight"])
    constants = {"bias": bias, "by": np.array(1 / 255, np.float32)}
    constants |= {"weight_int8": small, "weight_scale": scale} if packed else {"weight": weight}
    nodes = [
        helper.make_node("Cast", [CROPS], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "by"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["maps"], kernel_shape=[32, 32], strides=[32, 32]
        ),
        *([unpack] if packed else []),
        helper.make_node("Conv", ["maps", "weight", "bias"], [MAPS]),
        helper.make_node("AveragePool", [MAPS], ["mean"], kernel_shape=[7, 7]),
        helper.make_node("Flatten", ["mean"], [LOGITS]),
    ]
    labels = len(bias)
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(CROPS, TensorProto.UINT8, ["n", 224, 224, 3])],
        [
            helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["n", labels]),
            helper.make_tensor_value_info(MAPS, TensorProto.FLOAT, ["n", labels, 7, 7]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def adaptable_bundle(folder: Path) -> Path:
    """Write a bundle of two such networks."""
    calibration = {task.name: Calibration(temperature=1.3, weight=0.5) for task in TASKS}
    networks = tuple(
        ServedNetwork(name, adaptable_graph(seed, packed=seed == 1), calibration)
        for seed, name in enumerate(("resnet34", "efficientnet-lite0"))
    )
    points = {task.name: (0.4,) * len(task.labels) for task in TASKS}
    write_bundle(folder, Bundle(folder.name, TASKS, networks, {"runs": []}, points))
    return folder


def lab_folder(folder: Path, called: Mapping[str, Mapping[str, str]], cells: int = 3) -> Path:
    """Draw cells with a manifest.

    Args:
        folder: New.
        called: Patient -> kind that is drawn -> what the laboratory calls it; patients whose name
            begins with `val` judge only.
        cells: Of each kind and patient.
    """
    folder.mkdir(parents=True)
    rows = []
    for patient, kinds in called.items():
        for kind, label in kinds.items():
            for number in range(cells):
                file = f"{patient}_{kind}_{number}.png"
                image = draw_cell(kind, len(rows)).image
                cv2.imwrite(str(folder / file), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
                rows.append((file, label, patient, "val" if patient.startswith("val") else "train"))
    write_rows(folder / "manifest.tsv", ("file", "label", "group", "split"), rows)
    return folder
