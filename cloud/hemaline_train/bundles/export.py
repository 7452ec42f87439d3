"""Turn trained networks into a bundle: ONNX graphs, parity, calibration, operating points."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Calibration, Confusion
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_train.bundles.bundle import (
    CROPS,
    LOGITS,
    MAPS,
    Bundle,
    ServedNetwork,
    check_new,
    run_graph,
    task_slices,
    write_bundle,
)
from hemaline_train.bundles.calibrate import Logits, fit_average, operating_points, patient_points
from hemaline_train.bundles.quantise import MOST_LOST, quantise, quantise_weights
from hemaline_train.bundles.runs import fitting
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import APL, Task
from hemaline_train.judging.blasts import BLASTS
from hemaline_train.judging.confusion import measure_confusion
from hemaline_train.judging.metrics import balanced_accuracy
from hemaline_train.judging.subjects import by_patient
from hemaline_train.learning.checkpoint import Trained, finished_run
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.networks import Network, ServingGraph
from hemaline_train.learning.run import Places
from hemaline_train.learning.training_set import UNKNOWN, TrainingSet, load_training_set
from hemaline_train.to_onnx import to_onnx

OPSET = 20
PARITY = 1e-3
"""The largest difference of a logit that rounding may make between PyTorch and ONNX Runtime."""

_PARITY_CROPS = 64
_CALIBRATION_CROPS = 256
_PRECISION = 0.85
"""Of the answers that are not called unclassified: as often as experts and a CellaVision DM96 agree
(82 to 89 %). Blasts are let through below it: one too many is looked at, a hidden one is missed."""


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
class _Judged:
    """The samples that judge one task: crops among all judging ones, and their truth."""

    task: Task
    places: NDArray[np.intp]
    truth: NDArray[np.intp]
    samples: tuple[Sample, ...]

    @property
    def groups(self) -> list[str]:
        """Whose each sample is."""
        return [sample.groups[0] for sample in self.samples]


def export(
    checkpoints: Sequence[Path],
    places: Places,
    folder: Path,
    *,
    tasks: Sequence[str] = (),
    int8: bool = True,
) -> None:
    """Write a bundle from checkpoints of runs on the same samples.

    Temperatures, weights, operating points and the confusion come from the samples that the first
    run judged by: of each task, those in the run's first data set that answers it.

    Args:
        checkpoints: One for each network.
        places: Where the data are.
        folder: Of the new bundle.
        tasks: The heads that are served; all of the first run's where none is named.
        int8: Whether to shrink the graphs to eight bits.

    Raises:
        PermanentError: A checkpoint cannot be read, `no-head`, `no-samples`, `other-run`: the runs
            do not fit each other, `parity`: the exported graph answers otherwise than the network,
            `bundle-exists` or `bundle-name`.
    """
    check_new(folder)
    runs = [finished_run(checkpoint) for checkpoint in checkpoints]
    names, served = fitting([run.config for run in runs], tasks)
    config = runs[0].config
    data = load_training_set(config, places.data, places.cache)
    unseen = np.flatnonzero(~data.trained)
    judged = [_judged(task, config, data, unseen) for task in served]
    exported = [
        _export_network(name, run, served, data, unseen, judged, int8=int8)
        for name, run in zip(names, runs, strict=True)
    ]
    logits = {network.name: given for network, given, _ in exported}
    bundle = Bundle(
        folder.name,
        served,
        _calibrated([network for network, _, _ in exported], logits, judged, served),
        {"runs": [origin for _, _, origin in exported]},
    )
    points = {one.task.name: _points(one, bundle, logits) for one in judged}
    bundle = replace(bundle, points=points)
    write_bundle(folder, replace(bundle, confusions=_confusion(judged, bundle, logits)))


def _confusion(
    judged: Sequence[_Judged], bundle: Bundle, logits: dict[str, Logits]
) -> dict[str, Confusion]:
    """Measure how often the task that names cells errs; other tasks' errors enter no interval."""
    for one in judged:
        if one.task.view != "cell":
            continue
        own = {name: given[one.places] for name, given in logits.items()}
        points, average = bundle.points[one.task.name], bundle.average(own, one.task)
        home = f"{one.samples[0].data_set.name}, val"
        return {
            one.task.name: measure_confusion(one.task, one.samples, average, points, home),
        }
    return {}


def _points(judged: _Judged, bundle: Bundle, logits: dict[str, Logits]) -> tuple[float, ...]:
    """Return the operating point of each label of one task."""
    own = {name: given[judged.places] for name, given in logits.items()}
    average = bundle.average(own, judged.task)
    if judged.task == APL:
        return patient_points(by_patient(judged.truth, judged.groups, average[:, 1]))
    blasts = [place for place, label in enumerate(judged.task.labels) if label in BLASTS]
    return tuple(operating_points(average, judged.truth, _PRECISION, blasts))


def _judged(task: Task, config: RunConfig, data: TrainingSet, unseen: NDArray[np.intp]) -> _Judged:
    targets = data.targets[:, config.asked().index(task)].numpy()[unseen]
    homes = np.array([data.samples[place].data_set.name for place in unseen.tolist()])
    for home in config.data_sets:
        places = np.flatnonzero((targets != UNKNOWN) & (homes == home))
        if places.size:
            samples = tuple(data.samples[place] for place in unseen[places].tolist())
            return _Judged(task, places, np.asarray(targets[places], np.intp), samples)
    raise PermanentError("no-samples", f"No sample of {task.name} was kept from training.")


def _export_network(
    name: str,
    run: Trained,
    tasks: Sequence[Task],
    data: TrainingSet,
    unseen: NDArray[np.intp],
    judged: Sequence[_Judged],
    *,
    int8: bool,
) -> tuple[ServedNetwork, Logits, dict[str, Any]]:
    """Export one network; return it uncalibrated, its logits and what stands behind it."""
    names, network = [task.name for task in tasks], run.network
    crops = data.pixels[unseen]
    graph = onnx_graph(network, names)
    parity = check_parity(network, names, graph, crops[_spread(len(crops), _PARITY_CROPS)])
    logits = run_graph(graph, crops)
    origin: dict[str, Any] = {
        "config": run.config.model_dump(),
        "epochs": run.epoch,
        "learned_from": dict(run.origin),
        "parity": asdict(parity),
    }
    if int8:
        seen = np.flatnonzero(data.trained)
        calibrating = data.pixels[seen[_spread(len(seen), _CALIBRATION_CROPS)]]
        costs = partial(_shrinkages, judged, tasks, logits)
        graph, logits, shrunk = _shrunk(graph, calibrating, crops, costs)
        origin |= shrunk
    return ServedNetwork(name, graph, {}), logits, origin


def _shrunk(
    graph: bytes,
    calibrating: NDArray[np.uint8],
    crops: NDArray[np.uint8],
    costs: Callable[[Logits], dict[str, Shrinkage]],
) -> tuple[bytes, Logits, dict[str, Any]]:
    """Return the graph in eight bits, its logits for the crops, and what that cost."""
    activations, small = "uint8", quantise(graph, calibrating)
    logits = run_graph(small, crops)
    lost = costs(logits)
    if any(cost.loss > MOST_LOST for cost in lost.values()):
        activations, small = "float32", quantise_weights(graph)
        logits = run_graph(small, crops)
        lost = costs(logits)
    report = {task: asdict(cost) for task, cost in lost.items()}
    return small, logits, {"activations": activations, "int8": report}


def _calibrated(
    networks: Sequence[ServedNetwork],
    logits: dict[str, Logits],
    judged: Sequence[_Judged],
    tasks: Sequence[Task],
) -> tuple[ServedNetwork, ...]:
    found: dict[str, dict[str, Calibration]] = {network.name: {} for network in networks}
    for one in judged:
        part = task_slices(tasks)[one.task.name]
        given = [logits[network.name][one.places, part] for network in networks]
        for network, fitted in zip(networks, fit_average(given, one.truth), strict=True):
            found[network.name][one.task.name] = fitted
    return tuple(ServedNetwork(one.name, one.graph, found[one.name]) for one in networks)


def _spread(count: int, wanted: int) -> NDArray[np.intp]:
    """Return at most so many places of a sequence, evenly spread."""
    return np.linspace(0, count - 1, min(count, wanted)).astype(np.intp)


def _shrinkages(
    judged: Sequence[_Judged], tasks: Sequence[Task], exact: Logits, small: Logits
) -> dict[str, Shrinkage]:
    """Return task name -> what eight bits cost."""
    report = {}
    for one in judged:
        part = task_slices(tasks)[one.task.name]
        before, after = (whole[one.places, part].argmax(axis=1) for whole in (exact, small))
        report[one.task.name] = Shrinkage(
            balanced_accuracy(one.truth, before) or 0.0,
            balanced_accuracy(one.truth, after) or 0.0,
            float((before == after).mean()),
        )
    return report


def onnx_graph(network: Network, tasks: Sequence[str]) -> bytes:
    """Export some heads: uint8 crops, shape (n, CROP_PX, CROP_PX, 3), to logits and maps."""
    graph = ServingGraph(network, tasks).eval()
    example = torch.zeros(2, CROP_PX, CROP_PX, 3, dtype=torch.uint8)
    return to_onnx(graph, example, opset=OPSET, takes=CROPS, gives=(LOGITS, MAPS), any_batch=True)


def check_parity(
    network: Network, tasks: Sequence[str], graph: bytes, crops: NDArray[np.uint8]
) -> Parity:
    """Compare the graph with the network on crops of shape (n, CROP_PX, CROP_PX, 3).

    Raises:
        PermanentError: `parity`: a logit differs by more than rounding, or an answer does.
    """
    with torch.inference_mode():
        expected = ServingGraph(network, tasks).eval()(torch.from_numpy(crops.copy()))[0].numpy()
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
