"""Train one network as its config says: epochs that resume to the same result after any kill."""

import csv
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hemaline_shared.errors import PermanentError
from hemaline_train.judging.judge import judge
from hemaline_train.judging.metrics import Interval
from hemaline_train.judging.ranks import joined_rank
from hemaline_train.judging.subjects import Probabilities
from hemaline_train.learning.augment import augment, blend
from hemaline_train.learning.checkpoint import save_checkpoint
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.gaps import refuse_gaps
from hemaline_train.learning.last_stage import (
    Looks,
    answers_by_looks,
    look,
    strength_of,
    train_last_stage_once,
)
from hemaline_train.learning.losses import Targets
from hemaline_train.learning.networks import Network
from hemaline_train.learning.origin import gone_on, origin_of
from hemaline_train.learning.precision import mixed_precision
from hemaline_train.learning.progress import Progress, duration
from hemaline_train.learning.run import Places, Run, follow, resume, start_run, state_of
from hemaline_train.learning.schedule import average_decay, learning_rate
from hemaline_train.learning.training_set import TrainingSet, draw, prepare_split, read_split

logger = logging.getLogger(__name__)

CURVE_FILE = "curve.csv"
_LARGEST_GRADIENT = 5.0


def train(config: RunConfig, places: Places, device: str) -> None:
    """Train to the last epoch, going on from the run's checkpoint where there is one.

    Args:
        config: Decides the result.
        places: Where the data are, and where the run is kept.
        device: "cpu" or "cuda".

    Raises:
        PermanentError: The data, the teacher or the checkpoint do not fit the config, or there is
            no GPU.
    """
    if config.learns == "last-stage" and device != "cpu":
        raise PermanentError(
            "device", f"{config.name} trains its last stage alone, which takes a CPU: --device cpu."
        )
    folder = places.runs / config.name
    folder.mkdir(parents=True, exist_ok=True)
    with joined_rank(device) as rank:
        split = read_split(config, places.data)
        refuse_gaps(config, split)
        data = prepare_split(config, split, places.cache)
        run = start_run(config, places, rank, data.some_trained)
        resume(run, folder)
        run.origin = gone_on(run.origin, origin_of(config, places))
        if run.epoch >= config.last_epoch and rank.leads:
            # It may have been longer when it was kept.
            save_checkpoint(folder, state_of(run))
        looks = None
        if config.learns == "last-stage" and run.epoch < config.last_epoch:
            logger.info("looking once at the crops; %d epochs follow", config.epochs)
            looks = look(run, data, Progress(1, 0))
        progress = Progress(config.last_epoch, run.epoch, silent=not rank.leads)
        while run.epoch < config.last_epoch:
            started = time.perf_counter()
            loss = _one_epoch(run, data, looks, progress)
            run.epoch += 1
            if rank.leads:
                _keep(
                    run,
                    {"loss": loss, **evaluate(run.average, run.config, data, rank.device, looks)},
                    folder,
                )
                took = duration(time.perf_counter() - started)
                logger.info("epoch %d of %d took %s", run.epoch, config.last_epoch, took)


def _one_epoch(run: Run, data: TrainingSet, looks: Looks | None, progress: Progress) -> float:
    if looks is None:
        return train_one_epoch(run, data, progress)
    return train_last_stage_once(run, data, looks, progress)


def train_one_epoch(run: Run, data: TrainingSet, progress: Progress) -> float:
    """Go once through the draws of an epoch, which its number decides; return the mean loss."""
    config, device = run.config, run.rank.device
    seed = config.seed * 100_003 + run.epoch
    torch.manual_seed(seed)
    # All ranks draw the same batches, and change their own part of each in their own way.
    draws = torch.Generator().manual_seed(seed)
    dice = torch.Generator(device).manual_seed(seed * 64 + run.rank.number)
    drawn = draw(data.weights, config.draws_per_epoch, draws)
    batches = torch.split(drawn, config.batch_size)
    if len(batches[-1]) < 2 * run.rank.count:
        # Batch normalisation needs two crops.
        batches = batches[:-1]
    run.joined.train()
    losses = []
    for index, batch in enumerate(progress.of(batches)):
        step = run.epoch * len(batches) + index
        for group in run.optimizer.param_groups:
            group["lr"] = learning_rate(config, step, config.epochs * len(batches))
        part = run.rank.share(batch)
        pixels = augment(data.batch(part, device), strength_of(config), dice)
        views = data.views[part].to(device)
        pixels, partners, kept = blend(pixels, views[:, 0], config.augment_blend, dice)
        labels = data.targets[part].to(device)
        targets = (Targets(labels, kept), Targets(labels[partners], 1 - kept))
        losses.append(_learn(run, pixels, targets, views))
        follow(run.average, run.pupil.network, average_decay(config, step))
    return float(np.mean(losses))


def _learn(
    run: Run, pixels: torch.Tensor, targets: Sequence[Targets], views: torch.Tensor
) -> float:
    with mixed_precision(run.rank.device):
        taught = None
        if run.faculty is not None:
            with torch.no_grad():
                taught = run.faculty(pixels)
        loss = run.joined(pixels, targets, views, taught)
    run.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(run.pupil.network.parameters(), _LARGEST_GRADIENT)
    run.optimizer.step()
    return float(loss.detach())


def answers_of(
    network: Network, data: TrainingSet, places: torch.Tensor, device: torch.device
) -> dict[str, Probabilities]:
    """Return task name -> probabilities for samples as they are, shape (len(places), labels)."""
    network.eval()
    with torch.inference_mode():
        whole = torch.cat(
            [
                network(data.batch(part, device)).logits.float().cpu()
                for part in torch.split(places, 64)
            ]
        )
    return {
        name: whole[:, part].softmax(dim=1).double().numpy()
        for name, part in network.slices().items()
    }


def evaluate(
    network: Network,
    config: RunConfig,
    data: TrainingSet,
    device: torch.device,
    looks: Looks | None = None,
) -> dict[str, float]:
    """Judge the network on the samples that it is not trained on; return `task.figure` -> value."""
    places = torch.from_numpy(np.flatnonzero(~data.trained))
    samples = [data.samples[place] for place in places.tolist()]
    if looks is not None:
        answers = answers_by_looks(network, looks)
    else:
        with mixed_precision(device):
            answers = answers_of(network, data, places, device)
    return flat(judge(samples, config.asked(), answers, resamples=0))


def flat(report: Mapping[str, Mapping[str, Interval]]) -> dict[str, float]:
    """Return `task.figure` -> value, without intervals and what is not defined."""
    return {
        f"{task}.{name}": figure.value
        for task, figures in report.items()
        for name, figure in figures.items()
        if figure.value is not None
    }


def _keep(run: Run, figures: dict[str, float], folder: Path) -> None:
    """Keep an epoch: checkpoint first, for the curve can be written anew from it."""
    run.curve.append({"epoch": float(run.epoch), **figures})
    save_checkpoint(folder, state_of(run))
    names = list(dict.fromkeys(name for row in run.curve for name in row))
    with (folder / CURVE_FILE).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(run.curve)
    text = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
    logger.info("%s: %s", run.config.name, text)
