"""Teach only a network's last stage: all before it looks at each crop once and never changes.

What a network learned of nuclei and granules carries over to another laboratory; what is to be made
of it is learned anew in minutes on a processor. The normalisations keep their statistics, so that
what is trained is what is served.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from torch import nn

from hemaline_shared.pixels.crops import CROP_PX
from hemaline_train.judging.subjects import Probabilities
from hemaline_train.learning.augment import Strength, augment
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.losses import Targets
from hemaline_train.learning.networks import Answer, Network
from hemaline_train.learning.progress import Progress
from hemaline_train.learning.run import Run, follow
from hemaline_train.learning.schedule import average_decay, learning_rate
from hemaline_train.learning.stages import stages_of
from hemaline_train.learning.training_set import TrainingSet, draw
from hemaline_train.to_onnx import to_onnx

_OPSET = 20
_BATCH = 32
_LARGEST_GRADIENT = 5.0


class _Early(nn.Module):
    """From crops of 0..1 to the maps that the last stage takes."""

    def __init__(self, network: Network, stages: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.stages = stages

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.stages(self.network.seen(pixels))
        return maps


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What the early stages made of a run's crops, in half precision.

    Attributes:
        drawn: Shape (n,): the samples that were drawn, each changed in its own way.
        trained: Shape (n, channels, h, w).
        taught: What the teachers say of the changed crops; None where labels alone teach.
        judging: The samples that judge, shape (m,).
        judged: Shape (m, channels, h, w): those as they are.
    """

    drawn: torch.Tensor
    trained: torch.Tensor
    taught: Answer | None
    judging: torch.Tensor
    judged: torch.Tensor


def look(run: Run, data: TrainingSet, progress: Progress) -> Looks:
    """Draw an epoch's crops once, change each, and let the early stages look at them and at val."""
    config, network = run.config, run.pupil.network
    early = _runner(_Early(network, stages_of(network)[0]), gives=("maps",))
    teachers = None if run.faculty is None else _runner(run.faculty, gives=Answer._fields)
    dice = torch.Generator().manual_seed(config.seed)
    drawn = draw(data.weights, config.draws_per_epoch, dice)
    judging = torch.from_numpy(np.flatnonzero(~data.trained))
    cpu = torch.device("cpu")
    trained, taught = [], []
    for part in progress.of(torch.split(drawn, _BATCH)):
        changed = augment(data.batch(part, cpu), strength_of(config), dice)
        trained += [maps.half() for maps in early(changed)]
        if teachers is not None:
            taught.append(Answer(*teachers(changed)))
    judged = [
        maps.half() for part in judging.split(_BATCH) for maps in early(data.batch(part, cpu))
    ]
    return Looks(
        drawn,
        torch.cat(trained),
        Answer(*map(torch.cat, zip(*taught, strict=True))) if taught else None,
        judging,
        torch.cat(judged),
    )


def _runner(
    module: nn.Module, gives: Sequence[str]
) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """Return what runs a module on crops of 0..1: in ONNX Runtime, several times as fast."""
    graph = to_onnx(
        module.eval(),
        torch.zeros(2, 3, CROP_PX, CROP_PX),
        opset=_OPSET, takes="pixels", gives=gives, any_batch=True,
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run_on(pixels: torch.Tensor) -> list[torch.Tensor]:
        given = session.run(None, {"pixels": pixels.numpy()})
        return [torch.from_numpy(np.array(part)) for part in given]

    return run_on


def strength_of(config: RunConfig) -> Strength:
    """Return how far a run's crops are changed."""
    return Strength(
        scale=config.augment_scale,
        shift=config.augment_shift,
        stain=config.augment_stain,
        light=config.augment_light,
        blur=config.augment_blur,
        noise=config.augment_noise,
        cutout=config.augment_cutout,
        surround=config.augment_surround,
        exposure=config.augment_exposure,
    )


def train_last_stage_once(run: Run, data: TrainingSet, looks: Looks, progress: Progress) -> float:
    """Go once through the looks in an order that the epoch decides; return the mean loss."""
    config = run.config
    seed = config.seed * 100_003 + run.epoch
    torch.manual_seed(seed)
    order = torch.randperm(len(looks.drawn), generator=torch.Generator().manual_seed(seed))
    batches = torch.split(order, config.batch_size)
    if len(batches[-1]) < 2:
        batches = batches[:-1]
    network = run.pupil.network
    late = stages_of(network)[1]
    network.eval()
    network.dropout.train()
    losses = []
    for index, batch in enumerate(progress.of(batches)):
        step = run.epoch * len(batches) + index
        for group in run.optimizer.param_groups:
            group["lr"] = learning_rate(config, step, config.epochs * len(batches))
        features = late(looks.trained[batch].float()).mean(dim=(2, 3))
        answer = Answer(network.head(network.dropout(features)), features)
        places = looks.drawn[batch]
        targets = Targets(data.targets[places], torch.ones(len(places)))
        taught = looks.taught and Answer(*(part[batch] for part in looks.taught))
        loss = run.pupil.lesson(answer, [targets], data.views[places], taught)
        run.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
        run.optimizer.step()
        follow(run.average, network, average_decay(config, step))
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


def answers_by_looks(network: Network, looks: Looks) -> dict[str, Probabilities]:
    """Return task name -> probabilities for the samples that judge, shape (m, labels)."""
    late = stages_of(network)[1]
    network.eval()
    with torch.inference_mode():
        whole = torch.cat(
            [
                network.head(late(part.float()).mean(dim=(2, 3)))
                for part in torch.split(looks.judged, _BATCH)
            ]
        )
    return {
        name: whole[:, part].softmax(dim=1).double().numpy()
        for name, part in network.slices().items()
    }
