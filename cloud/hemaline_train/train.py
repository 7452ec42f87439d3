"""Train one network as its config says: epochs that resume to the same result after any kill."""

import csv
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hemaline_shared.errors import PermanentError
from hemaline_train.augment import Strength, augment
from hemaline_train.checkpoint import (
    FILE,
    load_checkpoint,
    new_network,
    save_checkpoint,
    trained_network,
)
from hemaline_train.config import RunConfig
from hemaline_train.judge import Probabilities, judge
from hemaline_train.lite0 import Lite0Features, load_imagenet_weights
from hemaline_train.losses import Lesson
from hemaline_train.metrics import Interval
from hemaline_train.networks import Network
from hemaline_train.training_set import TrainingSet, draw, load_training_set

logger = logging.getLogger(__name__)

CURVE_FILE = "curve.csv"
_LARGEST_GRADIENT = 5.0


@dataclass(slots=True, eq=False)
class Run:
    """What training changes, and what it needs beside the data."""

    config: RunConfig
    device: torch.device
    network: Network
    average: Network
    teacher: Network | None
    lesson: Lesson
    optimizer: torch.optim.Optimizer
    epoch: int
    curve: list[dict[str, float]]


def train(config: RunConfig, data: Path, cache: Path, folder: Path, device: str) -> None:
    """Train to the last epoch, going on from the folder's checkpoint where there is one.

    Args:
        config: Decides the result.
        data: Holds one folder a data set.
        cache: For prepared pixels.
        folder: Of this run: checkpoint and curve.
        device: "cpu" or "cuda".

    Raises:
        PermanentError: The data, the teacher or the checkpoint do not fit the config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data_in_memory = load_training_set(config, data, cache)
    run = start_run(config, torch.device(device))
    resume(run, folder)
    while run.epoch < config.epochs:
        started = time.perf_counter()
        loss = train_one_epoch(run, data_in_memory)
        run.epoch += 1
        figures = evaluate(run.average, data_in_memory, run.device)
        row = {"epoch": float(run.epoch), "loss": loss, **figures}
        run.curve.append(row)
        save_checkpoint(folder, _state(run))
        _write_curve(folder, run.curve)
        logger.info(
            "%s epoch %d/%d in %.0f s: %s",
            config.name,
            run.epoch,
            config.epochs,
            time.perf_counter() - started,
            ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name != "epoch"),
        )


def start_run(config: RunConfig, device: torch.device) -> Run:
    """Build a run at its first step, the same from the same config."""
    torch.manual_seed(config.seed)
    network = new_network(config)
    _initialise(network, config)
    teacher = trained_network(Path(config.teacher))[1] if config.teacher else None
    if teacher is not None and teacher.heads != network.heads:
        raise PermanentError(
            "teacher", f"{config.teacher} answers {list(teacher.heads)}, not {list(config.tasks)}."
        )
    channels = None
    if teacher is not None:
        channels = (network.head.in_features, teacher.head.in_features)
    lesson = Lesson(
        network.slices(),
        config.tasks,
        smoothing=config.label_smoothing,
        teacher_share=config.teacher_share,
        temperature=config.teacher_temperature,
        feature_weight=config.feature_weight,
        channels=channels,
    )
    average = new_network(config)
    average.load_state_dict(network.state_dict())
    for part in (network, average, teacher, lesson):
        if part is not None:
            part.to(device)
    # Kernels in the order of channels-last pictures: a third faster on a CPU, and on tensor cores.
    for whole in (network, average):
        whole.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        _parameter_groups(nn.ModuleList([network, lesson]), config.weight_decay), lr=1.0
    )
    return Run(config, device, network, average.eval(), teacher, lesson, optimizer, 0, [])


def train_one_epoch(run: Run, data: TrainingSet) -> float:
    """Go once through the draws of an epoch, which its number decides; return the mean loss."""
    config = run.config
    seed = config.seed * 100_003 + run.epoch
    torch.manual_seed(seed)
    dice = torch.Generator(run.device).manual_seed(seed)
    draws = torch.Generator().manual_seed(seed)
    places = draw(data.weights, config.draws_per_epoch, draws)
    strength = Strength(
        scale=config.augment_scale,
        shift=config.augment_shift,
        stain=config.augment_stain,
        light=config.augment_light,
        blur=config.augment_blur,
        noise=config.augment_noise,
        cutout=config.augment_cutout,
    )
    run.network.train()
    run.lesson.train()
    losses = []
    # A last batch of one would break batch normalisation.
    batches = [part for part in torch.split(places, config.batch_size) if len(part) > 1]
    for index, part in enumerate(batches):
        step = run.epoch * len(batches) + index
        rate = learning_rate(config, step, config.epochs * len(batches))
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        pixels = augment(data.batch(part).to(run.device), strength, dice)
        loss = _learn(run, pixels, data.targets[part], data.views[part])
        _follow(run.average, run.network, _decay(config, step))
        losses.append(loss)
    return float(np.mean(losses))


def _learn(run: Run, pixels: torch.Tensor, targets: torch.Tensor, views: torch.Tensor) -> float:
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.device.type == "cuda"):
        taught = None
        if run.teacher is not None:
            with torch.no_grad():
                taught = run.teacher(pixels)
        answer = run.network(pixels)
        loss = run.lesson(answer, targets.to(run.device), views.to(run.device), taught)
    run.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), _LARGEST_GRADIENT)
    run.optimizer.step()
    return float(loss.detach())


def learning_rate(config: RunConfig, step: int, steps: int) -> float:
    """Return the one-cycle rate: a cosine up to the peak, a cosine down to nearly nothing."""
    peak, turn = config.learning_rate, config.warm_up * steps
    if step < turn:
        return peak * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * step / turn)))
    left = (step - turn) / max(steps - turn, 1)
    return peak * max(0.5 * (1 + math.cos(math.pi * left)), 1e-4)


def answers_of(
    network: Network, data: TrainingSet, places: torch.Tensor, device: torch.device
) -> dict[str, Probabilities]:
    """Return task name -> probabilities for samples as they are, shape (len(places), labels)."""
    network.eval()
    with torch.inference_mode():
        whole = torch.cat(
            [
                network(data.batch(part).to(device)).logits.float().cpu()
                for part in torch.split(places, 64)
            ]
        )
    return {
        name: whole[:, part].softmax(dim=1).double().numpy()
        for name, part in network.slices().items()
    }


def evaluate(network: Network, data: TrainingSet, device: torch.device) -> dict[str, float]:
    """Judge the network on the samples that it is not trained on; return `task.figure` -> value."""
    places = torch.from_numpy(np.flatnonzero(~data.trained))
    samples = [data.samples[place] for place in places.tolist()]
    report = judge(samples, answers_of(network, data, places, device), resamples=0)
    return flat(report)


def flat(report: Mapping[str, Mapping[str, Interval]]) -> dict[str, float]:
    """Return `task.figure` -> value, without intervals and what is not defined."""
    return {
        f"{task}.{name}": figure.value
        for task, figures in report.items()
        for name, figure in figures.items()
        if figure.value is not None
    }


def resume(run: Run, folder: Path) -> None:
    """Go on from the folder's checkpoint, if it has one.

    Raises:
        PermanentError: `checkpoint`: it is damaged, or belongs to another config.
    """
    if not (folder / FILE).exists():
        return
    state = load_checkpoint(folder / FILE)
    if state["config"] != run.config.model_dump_json():
        raise PermanentError(
            "checkpoint",
            f"{folder / FILE} was made with other settings. Give this run another name, or remove "
            "the folder to start afresh.",
        )
    run.network.load_state_dict(state["network"])
    run.average.load_state_dict(state["average"])
    run.lesson.load_state_dict(state["lesson"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.epoch, run.curve = state["epoch"], state["curve"]
    logger.info("%s goes on after epoch %d", run.config.name, run.epoch)


def _state(run: Run) -> dict[str, Any]:
    return {
        "config": run.config.model_dump_json(),
        "epoch": run.epoch,
        "curve": run.curve,
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "lesson": run.lesson.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }


def _initialise(network: Network, config: RunConfig) -> None:
    if not config.initial_weights:
        return
    file = Path(config.initial_weights)
    if isinstance(network.backbone, Lite0Features):
        load_imagenet_weights(network.backbone, file)
        return
    state = load_checkpoint(file)["average"]
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(own | fitting)


def _parameter_groups(whole: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and kernels; never biases and normalisations."""
    parts = [part for part in whole.parameters() if part.requires_grad]
    return [
        {"params": [part for part in parts if part.ndim > 1], "weight_decay": weight_decay},
        {"params": [part for part in parts if part.ndim <= 1], "weight_decay": 0.0},
    ]


def _decay(config: RunConfig, step: int) -> float:
    """Return the average's decay, short at first so that random weights are soon forgotten."""
    return min(config.average_decay, (1 + step) / (10 + step))


@torch.no_grad()
def _follow(average: Network, network: Network, decay: float) -> None:
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])


def _write_curve(folder: Path, curve: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in curve for name in row))
    with (folder / CURVE_FILE).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(curve)
