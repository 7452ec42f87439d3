"""What a training run is made of, how it begins, and how it goes on after a kill."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hemaline_shared.errors import PermanentError
from hemaline_train.judging.ranks import Rank
from hemaline_train.learning.checkpoint import FILE, load_checkpoint, new_network, trained_network
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.lite0 import Lite0Features, load_imagenet_weights
from hemaline_train.learning.losses import Faculty, Lesson, Pupil
from hemaline_train.learning.networks import Network

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


def start_run(config: RunConfig, places: Places, rank: Rank) -> Run:
    """Build a run at its first step, the same from the same config.

    Raises:
        PermanentError: `teacher` or `weights`: they do not fit.
    """
    torch.manual_seed(config.seed)
    network = new_network(config)
    _initialise(network, config, places)
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
    if not (folder / FILE).exists():
        return
    state = load_checkpoint(folder / FILE)
    if RunConfig.model_validate_json(state["config"]) != run.config:
        raise PermanentError(
            "checkpoint",
            f"{folder / FILE} was made with other settings. Give this run another name, or remove "
            "the folder to start afresh.",
        )
    run.pupil.network.load_state_dict(state["network"])
    run.pupil.lesson.load_state_dict(state["lesson"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.epoch, run.curve = state["epoch"], state["curve"]
    logger.info("%s goes on after epoch %d", run.config.name, run.epoch)


def state_of(run: Run) -> dict[str, Any]:
    """Return what `resume` needs: tensors and plain values."""
    return {
        "config": run.config.model_dump_json(),
        "epoch": run.epoch,
        "curve": run.curve,
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


def _initialise(network: Network, config: RunConfig, places: Places) -> None:
    if config.starts_from:
        _take_over(network, config, places)
    if not config.initial_weights:
        return
    if not isinstance(network.backbone, Lite0Features):
        raise PermanentError("weights", f"No published weights fit {config.architecture}.")
    if places.weights is None:
        raise PermanentError(
            "weights",
            f"{config.name} starts from {config.initial_weights}: name its directory with "
            "--weights or HEMALINE_WEIGHTS.",
        )
    load_imagenet_weights(network.backbone, places.weights / config.initial_weights)


def _take_over(network: Network, config: RunConfig, places: Places) -> None:
    before, trained = trained_network(places.runs / config.starts_from / FILE)
    if (before.architecture, trained.heads) != (config.architecture, network.heads):
        raise PermanentError(
            "starts-from",
            f"{config.starts_from} is a {before.architecture} that answers "
            f"{', '.join(trained.heads)}: {config.name} cannot start from it.",
        )
    _refuse_another_split("starts-from", config, before)
    network.load_state_dict(trained.state_dict())


def _faculty(config: RunConfig, places: Places) -> Faculty | None:
    teachers = []
    for name in config.teachers:
        taught, teacher = trained_network(places.runs / name / FILE)
        if list(teacher.heads) != list(config.tasks):
            raise PermanentError(
                "teacher",
                f"{name} answers {', '.join(teacher.heads)}, not {', '.join(config.tasks)}.",
            )
        _refuse_another_split("teacher", config, taught)
        teachers.append(teacher)
    return Faculty(teachers) if teachers else None


def _refuse_another_split(reason: str, config: RunConfig, before: RunConfig) -> None:
    """What was learned from samples that judge here would come back as a good figure."""
    if (before.fold, before.folds) != (config.fold, config.folds):
        raise PermanentError(
            reason,
            f"{before.name} was judged by other samples than {config.name}, and may have trained "
            f"on those that judge now. Train it with the same fold first.",
        )


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
