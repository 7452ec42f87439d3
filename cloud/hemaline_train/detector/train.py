"""Train a detector as its config says: epochs that resume to the same result after any kill."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.stain import FloatImage
from hemaline_train.detector.config import DetectorConfig
from hemaline_train.detector.fields import learned_fields, split_images
from hemaline_train.detector.judging import judge_detector
from hemaline_train.detector.leaks import refuse_leaking_fields
from hemaline_train.detector.losses import box_loss, heat_loss, whole_loss
from hemaline_train.detector.network import Detector
from hemaline_train.detector.scenes import SceneMaker
from hemaline_train.detector.targets import target_of
from hemaline_train.learning.checkpoint import FILE, load_checkpoint, save_checkpoint, taken_from
from hemaline_train.learning.precision import mixed_precision
from hemaline_train.learning.run import follow

logger = logging.getLogger(__name__)

_JUDGED_EVERY = 10
_SURE_ENOUGH = 0.4
_LARGEST_GRADIENT = 10.0


@dataclass(slots=True, eq=False)
class _Run:
    """What training changes."""

    config: DetectorConfig
    network: Detector
    average: Detector
    optimizer: torch.optim.Optimizer
    epoch: int = 0


def train_detector(config: DetectorConfig, data: Path, runs: Path) -> Path:
    """Train to the last epoch, going on from the run's checkpoint where there is one.

    Args:
        config: Decides the result.
        data: Holds one folder a data set.
        runs: Holds one folder a run.

    Returns:
        The checkpoint.

    Raises:
        PermanentError: The data cannot be read, `leak`: the split leaks, or the checkpoint belongs
            to another config.
    """
    folder = runs / config.name
    folder.mkdir(parents=True, exist_ok=True)
    run = _start(config, folder)
    if run.epoch < config.epochs:
        trained, judged = split_images(config, data)
        refuse_leaking_fields(trained, judged)
        fields = {name: learned_fields(images) for name, images in trained.items()}
        maker = SceneMaker(fields, config)
        while run.epoch < config.epochs:
            started = time.perf_counter()
            loss = _train_one_epoch(run, maker)
            run.epoch += 1
            save_checkpoint(folder, _state(run))
            took = time.perf_counter() - started
            logger.info("epoch %d of %d: loss %.3f, %.0f s", run.epoch, config.epochs, loss, took)
            if run.epoch % _JUDGED_EVERY == 0 or run.epoch == config.epochs:
                figures = judge_detector(run.average, judged, _SURE_ENOUGH)
                text = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
                logger.info("F1 at overlap 0.5: %s", text)
    return folder / FILE


def trained_detector(file: Path) -> tuple[DetectorConfig, Detector]:
    """Return a run's settings and its averaged network, ready to answer.

    Raises:
        PermanentError: `checkpoint`.
    """
    state = load_checkpoint(file)
    with taken_from(file):
        config = DetectorConfig.model_validate_json(state["config"])
        network = Detector(config.width)
        network.load_state_dict(state["average"])
    return config, network.eval()


def _start(config: DetectorConfig, folder: Path) -> _Run:
    torch.manual_seed(config.seed)
    network, average = Detector(config.width), Detector(config.width).eval()
    average.load_state_dict(network.state_dict())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    matrices = [part for part in network.parameters() if part.ndim > 1]
    others = [part for part in network.parameters() if part.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    run = _Run(config, network, average, torch.optim.AdamW(groups, lr=1.0))
    if (folder / FILE).exists():
        _resume(run, folder / FILE)
    return run


def _resume(run: _Run, file: Path) -> None:
    state = load_checkpoint(file)
    with taken_from(file):
        if DetectorConfig.model_validate_json(state["config"]) != run.config:
            raise PermanentError(
                "checkpoint",
                f"{file} was made with other settings. Give this run another name, or remove the "
                "folder to start afresh.",
            )
        run.network.load_state_dict(state["network"])
        run.average.load_state_dict(state["average"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.epoch = state["epoch"]
    logger.info("%s goes on after epoch %d", run.config.name, run.epoch)


def _state(run: _Run) -> dict[str, Any]:
    return {
        "config": run.config.model_dump_json(),
        "epoch": run.epoch,
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }


def _train_one_epoch(run: _Run, maker: SceneMaker) -> float:
    """Go through an epoch's scenes, which its number decides; return the mean loss."""
    config = run.config
    dice = np.random.default_rng([config.seed, run.epoch])
    steps = max(1, config.scenes_per_epoch // config.batch_size)
    run.network.train()
    losses = []
    for index in range(steps):
        step = run.epoch * steps + index
        for group in run.optimizer.param_groups:
            group["lr"] = learning_rate(config, step, config.epochs * steps)
        losses.append(_learn(run, maker, dice))
        follow(run.average, run.network, min(config.average_decay, (1 + step) / (10 + step)))
    return float(np.mean(losses))


def _learn(run: _Run, maker: SceneMaker, dice: np.random.Generator) -> float:
    config = run.config
    scenes = [maker.scene(dice) for _ in range(config.batch_size)]
    targets = [target_of(scene) for scene in scenes]
    views = _stack([scene.pixels.transpose(2, 0, 1) for scene in scenes])
    with mixed_precision(views.device):
        heat, extents = run.network(views.contiguous(memory_format=torch.channels_last))
    loss = whole_loss(
        heat_loss(
            heat, _stack([one.heat for one in targets]), _stack([one.known for one in targets])
        ),
        box_loss(
            extents, _stack([one.extents for one in targets]), _stack([one.near for one in targets])
        ),
        config.box_weight,
        config.others_weight,
    )
    run.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), _LARGEST_GRADIENT)
    run.optimizer.step()
    return float(loss.detach())


def learning_rate(config: DetectorConfig, step: int, steps: int) -> float:
    """Return the rate: a straight line up to the peak, a cosine down to nearly nothing."""
    turn = config.warm_up * steps
    if step < turn:
        return config.learning_rate * (step + 1) / (turn + 1)
    left = (step - turn) / max(steps - turn, 1)
    return config.learning_rate * max(0.5 * (1 + math.cos(math.pi * left)), 1e-3)


def _stack(maps: list[FloatImage]) -> torch.Tensor:
    return torch.from_numpy(np.stack(maps))
