"""What a training run is made of, how it begins, and how it goes on after a kill."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hemaline_shared.errors import PermanentError
from hemaline_train.judging.ranks import Rank
from hemaline_train.learning.checkpoint import (
    FILE,
    Trained,
    finished_run,
    load_checkpoint,
    new_network,
    taken_from,
)
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.efficientnet_lite import LiteFeatures, load_imagenet_weights
from hemaline_train.learning.losses import Faculty, Lesson, Pupil
from hemaline_train.learning.networks import Network
from hemaline_train.learning.shipped_weights import load_shipped_weights
from hemaline_train.learning.stages import freeze_early

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run finds what it needs.

    Attributes:
        data: Holds one folder a data set.
        cache: For prepared pixels.
        runs: Holds one folder a run: checkpoint and curve.
        weights: Holds published weights; None if there are none.
    """

    data: Path
    cache: Path
    runs: Path
    weights: Path | None = None


@dataclass(slots=True, eq=False)
class Run:
    """What training changes, and what it needs beside the data.

    Attributes:
        joined: The pupil, with gradients averaged over all ranks.
        average: The moving average of the network: what is judged, kept and served.
        faculty: The teachers; None where labels alone teach.
        epoch: How many are done.
        curve: A row of figures for each of them.
        origin: What it learns from, by content (`learning.origin`).
    """

    config: RunConfig
    rank: Rank
    pupil: Pupil
    joined: nn.Module
    average: Network
    faculty: Faculty | None
    optimizer: torch.optim.Optimizer
    epoch: int
    curve: list[dict[str, float]]
    origin: dict[str, Any] = field(default_factory=dict)


def start_run(
    config: RunConfig, places: Places, rank: Rank, crops: Callable[[], torch.Tensor]
) -> Run:
    """Build a run at its first step, the same from the same config.

    Args:
        config: Decides the result.
        places: Where earlier runs and published weights are.
        rank: This process among those that train.
        crops: Gives some that are trained on, of 0..1, shape (n, 3, CROP_PX, CROP_PX): they set
            anew the normalisations of a network that comes out of a bundle.

    Raises:
        PermanentError: `teacher`, `starts-from` or `weights`: they do not fit.
    """
    torch.manual_seed(config.seed)
    network = new_network(config)
    _initialise(network, config, places, crops)
    if config.learns == "last-stage":
        freeze_early(network)
    faculty = _faculty(config, places)
    pupil = Pupil(network, _lesson(config, network, faculty))
    average = new_network(config)
    average.load_state_dict(network.state_dict())
    for part in (pupil, average, faculty):
        if part is not None:
            part.to(rank.device)
    # Kernels in the order of channels-last pictures: a third faster on a CPU, and on tensor cores.
    for whole in (network, average):
        whole.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(_parameter_groups(pupil, config.weight_decay), lr=1.0)
    joined = rank.together(pupil)
    return Run(config, rank, pupil, joined, average.eval(), faculty, optimizer, 0, [])


def resume(run: Run, folder: Path) -> None:
    """Go on from the folder's checkpoint, if it has one.

    Raises:
        PermanentError: `checkpoint`: it is damaged, or belongs to another config.
    """
    file = folder / FILE
    if not file.exists():
        return
    state = load_checkpoint(file)
    with taken_from(file):
        before = RunConfig.model_validate_json(state["config"])
        # Where a run ends changes nothing of what it learns until then.
        if before.model_copy(update={"stop_after": run.config.stop_after}) != run.config:
            raise PermanentError(
                "checkpoint",
                f"{file} was made with other settings. Give this run another name, or remove the "
                "folder to start afresh.",
            )
        run.pupil.network.load_state_dict(state["network"])
        run.pupil.lesson.load_state_dict(state["lesson"])
        run.average.load_state_dict(state["average"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.epoch, run.curve = state["epoch"], state["curve"]
        run.origin = state.get("origin", {})
    logger.info("%s goes on after epoch %d", run.config.name, run.epoch)


def state_of(run: Run) -> dict[str, Any]:
    """Return what `resume` needs: tensors and plain values."""
    return {
        "config": run.config.model_dump_json(),
        "epoch": run.epoch,
        "curve": run.curve,
        "origin": run.origin,
        "network": run.pupil.network.state_dict(),
        "average": run.average.state_dict(),
        "lesson": run.pupil.lesson.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average a little towards the network."""
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])


def _initialise(
    network: Network, config: RunConfig, places: Places, crops: Callable[[], torch.Tensor]
) -> None:
    if config.starts_from:
        _take_over(network, config, places)
    if not config.initial_weights:
        return
    if places.weights is None:
        raise PermanentError(
            "weights",
            f"{config.name} starts from {config.initial_weights}: name its directory with "
            "--weights or HEMALINE_WEIGHTS.",
        )
    file = places.weights / config.initial_weights
    if file.suffix == ".onnx":
        labels = {task.name: task.labels for task in config.asked()}
        load_shipped_weights(network, file, crops(), labels)
    elif isinstance(network.backbone, LiteFeatures):
        load_imagenet_weights(network.backbone, file)
    else:
        raise PermanentError("weights", f"No published weights fit {config.architecture}.")


def _take_over(network: Network, config: RunConfig, places: Places) -> None:
    before = _earlier_run("starts-from", config.starts_from, config, places)
    if before.config.architecture != config.architecture:
        raise PermanentError(
            "starts-from",
            f"{config.starts_from} is a {before.config.architecture}: {config.name}, a "
            f"{config.architecture}, cannot start from it.",
        )
    network.load_state_dict(before.network.state_dict())


def _faculty(config: RunConfig, places: Places) -> Faculty | None:
    teachers = [_earlier_run("teacher", name, config, places).network for name in config.teachers]
    return Faculty(teachers) if teachers else None


def _earlier_run(reason: str, name: str, config: RunConfig, places: Places) -> Trained:
    """Return a finished run that answers the same and learned from nothing that judges now."""
    before = finished_run(places.runs / name / FILE, reason)
    if before.config.asked() != config.asked():
        raise PermanentError(
            reason,
            f"{name} answers {_questions(before.config)}; {config.name} answers "
            f"{_questions(config)}. Both must answer the same tasks and labels in the same order.",
        )
    if (before.config.fold, before.config.folds) != (config.fold, config.folds):
        # What it learned from samples that judge here would come back as a good figure.
        raise PermanentError(
            reason,
            f"{name} was judged by other samples than {config.name}, and may have trained "
            f"on those that judge now. Train it with the same fold first.",
        )
    return before


def _questions(config: RunConfig) -> str:
    """Name the tasks, and the labels where a lab chose them."""
    own = f" ({', '.join(config.own_labels)})"
    return ", ".join(name + own * (name == config.own_task) for name in config.tasks)


def _lesson(config: RunConfig, network: Network, faculty: Faculty | None) -> Lesson:
    return Lesson(
        network.slices(),
        config.tasks,
        smoothing=config.label_smoothing,
        teacher_share=config.teacher_share,
        temperature=config.teacher_temperature,
        feature_weight=config.feature_weight,
        channels=(network.head.in_features, faculty.channels) if faculty else None,
    )


def _parameter_groups(whole: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and kernels; never biases and normalisations."""
    parts = [part for part in whole.parameters() if part.requires_grad]
    return [
        {"params": [part for part in parts if part.ndim > 1], "weight_decay": weight_decay},
        {"params": [part for part in parts if part.ndim <= 1], "weight_decay": 0.0},
    ]
