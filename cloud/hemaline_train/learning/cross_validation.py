"""Judge runs on what each of them kept from training: the folds of one run make a whole."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hemaline_shared.errors import PermanentError
from hemaline_train.data.samples import Sample
from hemaline_train.judging.judge import judge
from hemaline_train.judging.metrics import Interval
from hemaline_train.learning.checkpoint import trained_network
from hemaline_train.learning.train import answers_of
from hemaline_train.learning.training_set import load_training_set


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
        PermanentError: A checkpoint cannot be read, or `folds`: two of them were judged by the
            same samples, which would count twice.
    """
    samples: list[Sample] = []
    config, _ = trained_network(checkpoints[0])
    answers: dict[str, list[np.ndarray]] = {}
    for checkpoint in checkpoints:
        config, network = trained_network(checkpoint)
        held = load_training_set(config, data, cache)
        places = torch.from_numpy(np.flatnonzero(~held.trained))
        own = [held.samples[place] for place in places.tolist()]
        if {one.groups[0] for one in own} & {one.groups[0] for one in samples}:
            raise PermanentError(
                "folds", f"{checkpoint} was judged by the same samples as another: give each once."
            )
        samples += own
        place = torch.device(device)
        for task, given in answers_of(network.to(place), held, places, place).items():
            answers.setdefault(task, []).append(given)
    pooled = {task: np.concatenate(parts) for task, parts in answers.items()}
    return judge(samples, config.asked(), pooled)
