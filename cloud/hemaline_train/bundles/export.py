"""Turn trained networks into a bundle: ONNX graphs, parity, calibration, operating points."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_train.bundles.answers import CROPS, LOGITS, MAPS, run_graph, run_graph_once
from hemaline_train.bundles.bundle import (
    Bundle,
    ServedNetwork,
    check_new,
    task_slices,
    write_bundle,
)
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.bundles.quantise import MOST_LOST, quantise, quantise_weights
from hemaline_train.bundles.runs import fitting
from hemaline_train.bundles.together import Judged, calibrated_together, judged_by
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task
from hemaline_train.judging.metrics import balanced_accuracy
from hemaline_train.learning.checkpoint import Trained, finished_run
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.networks import VIEWS, Network, ServingGraph
from hemaline_train.learning.run import Places
from hemaline_train.learning.training_set import read_split
from hemaline_train.to_onnx import to_onnx

OPSET = 20
PARITY = 1e-3
"""The largest difference of a logit that rounding may make between PyTorch and ONNX Runtime."""

_PARITY_CROPS = 64
_CALIBRATION_CROPS = 256
_COMPARED_CROPS = 192
"""Of those that judge, evenly spread: what eight bits cost is measured on them."""


@dataclass(frozen=True, slots=True)
class Form:
    """How graphs are made.

    Attributes:
        int8: Whether they are shrunk to eight bits.
        int8_activations: Whether activations are in eight bits whatever that costs a network alone:
            for one that carries little of an average and takes much of its time.
        views: How often they look at each crop, as for `ServingGraph`.
    """

    int8: bool = True
    int8_activations: bool = False
    views: int = VIEWS


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

    @property
    def loss(self) -> float:
        """Return how much balanced accuracy is lost."""
        return self.float32_balanced_accuracy - self.int8_balanced_accuracy


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What an export looks at, as bytes: crops that judge, and some that were trained on."""

    samples: tuple[Sample, ...]
    crops: NDArray[np.uint8]
    calibrating: NDArray[np.uint8]


def export(
    checkpoints: Sequence[Path],
    places: Places,
    folder: Path,
    *,
    tasks: Sequence[str] = (),
    form: Form = Form(),
) -> None:
    """Write a bundle from checkpoints of runs on the same samples.

    Temperatures, weights and operating points come from the samples that the first run judged by,
    of all laboratories together: what is sure in one may be a guess in another. The confusion,
    which every interval of a differential holds, comes from the patients of the run's first data
    set that answers the task that names cells.

    Args:
        checkpoints: One for each network.
        places: Where the data are.
        folder: Of the new bundle.
        tasks: The heads that are served; all of the first run's where none is named.
        form: How the graphs are made.

    Raises:
        PermanentError: A checkpoint cannot be read, `no-head`, `no-samples`, `other-run`: the runs
            do not fit each other, `parity`: the exported graph answers otherwise than the network,
            `bundle-exists` or `bundle-name`.
    """
    check_new(folder)
    runs = [finished_run(checkpoint) for checkpoint in checkpoints]
    names, served = fitting([run.config for run in runs], tasks)
    config = runs[0].config
    shown = _shown(config, places)
    judged = [judged_by(task, shown.samples) for task in served]
    exported = [
        _export_network(name, run, served, shown, judged, places.cache, form)
        for name, run in zip(names, runs, strict=True)
    ]
    logits = {network.name: given for network, given, _ in exported}
    bundle = Bundle(
        folder.name,
        served,
        tuple(network for network, _, _ in exported),
        {"runs": [origin for _, _, origin in exported]},
    )
    write_bundle(folder, calibrated_together(bundle, judged, logits))


def _shown(config: RunConfig, places: Places) -> _Shown:
    """Read what judged a run; that nothing of it was trained on, the run has checked."""
    split = read_split(config, places.data)
    unseen = [split.samples[place] for place in np.flatnonzero(~split.trained).tolist()]
    seen = np.flatnonzero(split.trained)
    calibrating = [
        split.samples[place] for place in seen[_spread(len(seen), _CALIBRATION_CROPS)].tolist()
    ]
    return _Shown(tuple(unseen), prepare(unseen, places.cache), prepare(calibrating, places.cache))


def _export_network(
    name: str,
    run: Trained,
    tasks: Sequence[Task],
    shown: _Shown,
    judged: Sequence[Judged],
    cache: Path,
    form: Form,
) -> tuple[ServedNetwork, Logits, dict[str, Any]]:
    """Export one network; return it uncalibrated, its logits and what stands behind it."""
    names, network = [task.name for task in tasks], run.network
    crops = shown.crops
    graph = onnx_graph(network, names, form.views)
    parity = check_parity(
        network, names, graph, crops[_spread(len(crops), _PARITY_CROPS)], form.views
    )
    origin: dict[str, Any] = {
        "config": run.config.model_dump(),
        "epochs": run.epoch,
        "views": form.views,
        "learned_from": dict(run.origin),
        "parity": asdict(parity),
    }
    if form.int8:
        compared = _spread(len(crops), _COMPARED_CROPS)
        exact = run_graph_once(graph, crops[compared], cache)
        costs = partial(_shrinkages, judged, tasks, compared, exact)
        small = quantise(graph, shown.calibrating)
        lost = costs(run_graph_once(small, crops[compared], cache))
        keeps = form.int8_activations or all(cost.loss <= MOST_LOST for cost in lost.values())
        if not keeps:
            small = quantise_weights(graph)
            lost = costs(run_graph_once(small, crops[compared], cache))
        origin["activations"] = "uint8" if keeps else "float32"
        origin["int8"] = {task: asdict(cost) for task, cost in lost.items()}
        graph = small
    return ServedNetwork(name, graph, {}), run_graph_once(graph, crops, cache), origin


def _spread(count: int, wanted: int) -> NDArray[np.intp]:
    """Return at most so many places of a sequence, evenly spread."""
    return np.linspace(0, count - 1, min(count, wanted)).astype(np.intp)


def _shrinkages(
    judged: Sequence[Judged],
    tasks: Sequence[Task],
    compared: NDArray[np.intp],
    exact: Logits,
    small: Logits,
) -> dict[str, Shrinkage]:
    """Return task name -> what eight bits cost on the crops that were compared."""
    report = {}
    for one in judged:
        part = task_slices(tasks)[one.task.name]
        _, rows, own = np.intersect1d(compared, one.places, return_indices=True)
        if not rows.size:
            continue
        before, after = (whole[rows, part].argmax(axis=1) for whole in (exact, small))
        report[one.task.name] = Shrinkage(
            balanced_accuracy(one.truth[own], before) or 0.0,
            balanced_accuracy(one.truth[own], after) or 0.0,
            float((before == after).mean()),
        )
    return report


def onnx_graph(network: Network, tasks: Sequence[str], views: int = VIEWS) -> bytes:
    """Export some heads: uint8 crops, shape (n, CROP_PX, CROP_PX, 3), to logits and maps."""
    graph = ServingGraph(network, tasks, views).eval()
    example = torch.zeros(2, CROP_PX, CROP_PX, 3, dtype=torch.uint8)
    return to_onnx(graph, example, opset=OPSET, takes=CROPS, gives=(LOGITS, MAPS), any_batch=True)


def check_parity(
    network: Network,
    tasks: Sequence[str],
    graph: bytes,
    crops: NDArray[np.uint8],
    views: int = VIEWS,
) -> Parity:
    """Compare the graph with the network on crops of shape (n, CROP_PX, CROP_PX, 3).

    Raises:
        PermanentError: `parity`: a logit differs by more than rounding, or an answer does.
    """
    with torch.inference_mode():
        expected = (
            ServingGraph(network, tasks, views).eval()(torch.from_numpy(crops.copy()))[0].numpy()
        )
    given = run_graph(graph, crops)
    apart = float(np.abs(given - expected).max())
    ends = np.cumsum([network.heads[task] for task in tasks])[:-1]
    same = np.all(
        [
            mine.argmax(axis=1) == theirs.argmax(axis=1)
            for mine, theirs in zip(
                np.split(given, ends, axis=1), np.split(expected, ends, axis=1), strict=True
            )
        ],
        axis=0,
    ).sum()
    if apart > PARITY or same < len(crops):
        raise PermanentError(
            "parity",
            f"The exported graph strays from the network: {apart:.2g} in a logit, and "
            f"{len(crops) - same} of {len(crops)} answers differ.",
        )
    return Parity(len(crops), apart, int(same))
