"""Turn trained networks into a bundle: ONNX graphs, parity, calibration, operating points."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

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
    run_graph,
    write_bundle,
)
from hemaline_train.calibrate import fit_temperature, operating_points
from hemaline_train.checkpoint import trained_network
from hemaline_train.networks import Network, ServingGraph
from hemaline_train.tasks import Task, named_task
from hemaline_train.training_set import UNKNOWN, TrainingSet, load_training_set

OPSET = 20
PARITY = 1e-3
"""The largest difference of a logit that rounding may make between PyTorch and ONNX Runtime."""

_PARITY_CROPS = 64
_PRECISION = 0.9
"""Of the answers that are not called unclassified."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the exported graph strays from the network on real crops."""

    crops: int
    largest_difference: float
    same_answers: int


def export(
    checkpoints: Sequence[Path], task_name: str, data: Path, cache: Path, folder: Path
) -> None:
    """Write a bundle of one task from checkpoints of runs on the same samples.

    Temperature and operating points come from the samples that the first run judged by.

    Raises:
        PermanentError: A checkpoint cannot be read, `parity`: the exported graph answers
            otherwise than the network, or `bundle-exists`.
    """
    task = named_task(task_name)
    config, _ = trained_network(checkpoints[0])
    samples = load_training_set(config, data, cache)
    judged, truth = judged_samples(samples, config.tasks, task)
    networks, provenance = [], []
    for checkpoint in checkpoints:
        config, network = trained_network(checkpoint)
        graph = onnx_graph(network, task.name)
        parity = check_parity(network, task.name, graph, judged[:_PARITY_CROPS])
        temperature = fit_temperature(run_graph(graph, judged), truth)
        networks.append(ServedNetwork(config.architecture, graph, temperature))
        provenance.append({"config": config.model_dump(), "parity": asdict(parity)})
    bundle = Bundle(folder.name, task.name, task.labels, tuple(networks))
    probabilities = bundle.probabilities(bundle.logits(judged))
    points = operating_points(probabilities, truth, _PRECISION)
    write_bundle(folder, task, networks, points, {"runs": provenance})


def judged_samples(
    samples: TrainingSet, tasks: dict[str, float], task: Task
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return the crops that a run is judged by in one task, and their places among its labels.

    Raises:
        PermanentError: `no-samples`: the task is not the run's, or nothing judges it.
    """
    targets = np.full(len(samples.samples), UNKNOWN)
    if task.name in tasks:
        targets = samples.targets[:, list(tasks).index(task.name)].numpy()
    chosen = (targets != UNKNOWN) & ~samples.trained
    if not chosen.any():
        raise PermanentError("no-samples", f"No sample of {task.name} was kept from training.")
    return samples.pixels[chosen], targets[chosen]


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
