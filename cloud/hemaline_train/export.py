"""Turn trained networks into a bundle: ONNX graphs, parity, calibration, operating points."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_train.bundle import (
    CROPS,
    LOGITS,
    MAPS,
    Bundle,
    ServedNetwork,
    refuse_existing,
    run_graph,
    write_bundle,
)
from hemaline_train.calibrate import Logits, fit_temperature, operating_points
from hemaline_train.checkpoint import trained_network
from hemaline_train.config import RunConfig
from hemaline_train.metrics import balanced_accuracy
from hemaline_train.networks import Network, ServingGraph
from hemaline_train.quantise import quantise
from hemaline_train.run import Places
from hemaline_train.tasks import Task
from hemaline_train.training_set import UNKNOWN, load_training_set

OPSET = 20
PARITY = 1e-3
"""The largest difference of a logit that rounding may make between PyTorch and ONNX Runtime."""

_PARITY_CROPS = 64
_CALIBRATION_CROPS = 256
_PRECISION = 0.9
"""Of the answers that are not called unclassified."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the exported graph strays from the network on real crops."""

    crops: int
    largest_difference: float
    same_answers: int


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """What eight bits cost on the samples that judge."""

    float32_balanced_accuracy: float
    int8_balanced_accuracy: float
    same_answers: float


def export(
    checkpoints: Sequence[Path], task_name: str, places: Places, folder: Path, *, int8: bool
) -> None:
    """Write a bundle of one task from checkpoints of runs on the same samples.

    Temperature and operating points come from the samples that the first run judged by.

    Args:
        checkpoints: One for each network.
        task_name: The head that is served.
        places: Where the data are.
        folder: Of the new bundle.
        int8: Whether to shrink the graphs to eight bits.

    Raises:
        PermanentError: A checkpoint cannot be read, `parity`: the exported graph answers
            otherwise than the network, or `bundle-exists`.
    """
    refuse_existing(folder)
    config, _ = trained_network(checkpoints[0])
    task = asked_task(config, task_name)
    samples = load_training_set(config, places.data, places.cache)
    targets = np.asarray(samples.targets[:, config.asked().index(task)].numpy(), np.intp)
    judged = ~samples.trained & (targets != UNKNOWN)
    if not judged.any():
        raise PermanentError("no-samples", f"No sample of {task.name} was kept from training.")
    seen = samples.trained & (targets != UNKNOWN)
    exported = [
        _export_network(checkpoint, task, samples.pixels, targets, judged, seen if int8 else None)
        for checkpoint in checkpoints
    ]
    networks = tuple(network for network, _ in exported)
    bundle = Bundle(folder.name, task, networks)
    probabilities = bundle.probabilities(bundle.logits(samples.pixels[judged]))
    points = operating_points(probabilities, targets[judged], _PRECISION)
    write_bundle(folder, task, networks, points, {"runs": [origin for _, origin in exported]})


def _export_network(
    checkpoint: Path,
    task: Task,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.intp],
    judged: NDArray[np.bool_],
    calibrating: NDArray[np.bool_] | None,
) -> tuple[ServedNetwork, dict[str, Any]]:
    """Export one network; return it with what stands behind it."""
    config, network = trained_network(checkpoint)
    crops, truth = pixels[judged], targets[judged]
    graph = onnx_graph(network, task.name)
    parity = check_parity(network, task.name, graph, crops[:_PARITY_CROPS])
    logits = run_graph(graph, crops)
    origin: dict[str, Any] = {"config": config.model_dump(), "parity": asdict(parity)}
    if calibrating is not None:
        graph = quantise(graph, pixels[_spread(calibrating)])
        small = run_graph(graph, crops)
        origin["int8"] = asdict(_shrinkage(truth, logits, small))
        logits = small
    temperature = fit_temperature(logits, truth)
    return ServedNetwork(config.architecture, graph, temperature), origin


def _spread(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the places of at most `_CALIBRATION_CROPS` of the chosen, evenly spread."""
    places = np.flatnonzero(chosen)
    wanted = min(len(places), _CALIBRATION_CROPS)
    return np.asarray(places[np.linspace(0, len(places) - 1, wanted).astype(int)], np.intp)


def _shrinkage(truth: NDArray[np.intp], exact: Logits, small: Logits) -> Shrinkage:
    before, after = exact.argmax(axis=1), small.argmax(axis=1)
    return Shrinkage(
        balanced_accuracy(truth, before) or 0.0,
        balanced_accuracy(truth, after) or 0.0,
        float((before == after).mean()),
    )


def asked_task(config: RunConfig, name: str) -> Task:
    """Return one of a run's tasks.

    Raises:
        PermanentError: `no-head`: the run was not taught this task.
    """
    for task in config.asked():
        if task.name == name:
            return task
    raise PermanentError("no-head", f"{config.name} learned {', '.join(config.tasks)}, not {name}.")


def onnx_graph(network: Network, task: str) -> bytes:
    """Export one head: uint8 crops, shape (n, CROP_PX, CROP_PX, 3), to logits and maps."""
    graph = ServingGraph(network, task).eval()
    example = torch.zeros(2, CROP_PX, CROP_PX, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        graph,
        (example,),
        dynamo=True,
        external_data=False,
        opset_version=OPSET,
        input_names=[CROPS],
        output_names=[LOGITS, MAPS],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        verbose=False,
    )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def check_parity(network: Network, task: str, graph: bytes, crops: NDArray[np.uint8]) -> Parity:
    """Compare the graph with the network on crops of shape (n, CROP_PX, CROP_PX, 3).

    Raises:
        PermanentError: `parity`: a logit differs by more than rounding, or an answer does.
    """
    with torch.inference_mode():
        expected = ServingGraph(network, task).eval()(torch.from_numpy(crops.copy()))[0].numpy()
    given = run_graph(graph, crops)
    apart = float(np.abs(given - expected).max())
    same = int((given.argmax(axis=1) == expected.argmax(axis=1)).sum())
    if apart > PARITY or same < len(crops):
        raise PermanentError(
            "parity",
            f"The exported graph strays from the network: {apart:.2g} in a logit, and "
            f"{len(crops) - same} of {len(crops)} answers differ.",
        )
    return Parity(len(crops), apart, same)
