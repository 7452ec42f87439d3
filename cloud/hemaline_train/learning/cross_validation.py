"""Judge runs on what each of them kept from training: the folds of one run make a whole."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hemaline_shared.errors import PermanentError
from hemaline_train.data.samples import Sample
from hemaline_train.judging.judge import judge
from hemaline_train.judging.metrics import Interval
from hemaline_train.judging.ranks import device_named
from hemaline_train.learning.checkpoint import trained_network
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.train import answers_of
from hemaline_train.learning.training_set import load_training_set

_OF_A_FOLD = {"fold", "name", "starts_from", "teachers"}
"""The settings in which folds of one run differ."""


def judge_checkpoints(
    checkpoints: Sequence[Path], data: Path, cache: Path, device: str
) -> dict[str, dict[str, Interval]]:
    """Pool the answers of each checkpoint on its own unseen samples, and judge them as one.

    Args:
        checkpoints: Of one run's folds, or a single one.
        data: Holds one folder a data set.
        cache: For prepared pixels.
        device: "cpu" or "cuda".

    Raises:
        PermanentError: A checkpoint cannot be read, `unknown-device`, `no-gpu`, or `folds`: they
            are of different runs, or two of them were judged by the same samples, which would
            count twice.
    """
    where = device_named(device)
    runs = [trained_network(checkpoint) for checkpoint in checkpoints]
    refuse_other_runs([config for config, _ in runs])
    samples: list[Sample] = []
    answers: dict[str, list[np.ndarray]] = {}
    for checkpoint, (config, network) in zip(checkpoints, runs, strict=True):
        held = load_training_set(config, data, cache)
        places = torch.from_numpy(np.flatnonzero(~held.trained))
        own = [held.samples[place] for place in places.tolist()]
        if {one.groups[0] for one in own} & {one.groups[0] for one in samples}:
            raise PermanentError(
                "folds", f"{checkpoint} was judged by the same samples as another: give each once."
            )
        samples += own
        for task, given in answers_of(network.to(where), held, places, where).items():
            answers.setdefault(task, []).append(given)
    pooled = {task: np.concatenate(parts) for task, parts in answers.items()}
    return judge(samples, runs[0][0].asked(), pooled)


def refuse_other_runs(configs: Sequence[RunConfig]) -> None:
    """Check that all are folds of one run: the same but for what `RunConfig.for_fold` changes.

    Raises:
        PermanentError: `folds`; the message names the settings that differ.
    """
    first, *others = (config.model_dump(exclude=_OF_A_FOLD) for config in configs)
    for config, other in zip(configs[1:], others, strict=True):
        if differing := [key for key, value in first.items() if other[key] != value]:
            raise PermanentError(
                "folds",
                f"{config.name} and {configs[0].name} differ in {', '.join(differing)}: only the "
                "folds of one run make a whole. Judge each run alone.",
            )
