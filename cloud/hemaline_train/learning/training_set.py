"""The samples of a run: pixels, targets, which are trained on and which judge, and the draws."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from hemaline_train.data.leakage import connected_groups, refuse_leaks
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample, read_samples
from hemaline_train.learning.config import RunConfig

UNKNOWN = -1
"""The target of a sample that a task says nothing about."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """All samples of a run, in memory as bytes.

    Attributes:
        pixels: uint8, shape (n, CROP_PX, CROP_PX, 3).
        targets: Shape (n, tasks), places among the labels or `UNKNOWN`.
        views: Shape (n, tasks): whether the task looks at this kind of picture at all.
        trained: Shape (n,): whether the sample is trained on; the others judge.
        weights: Shape (n,): how often a sample is drawn; 0 for those that judge.
    """

    samples: tuple[Sample, ...]
    pixels: NDArray[np.uint8]
    targets: torch.Tensor
    views: torch.Tensor
    trained: NDArray[np.bool_]
    weights: torch.Tensor

    def batch(self, places: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Return pixels of 0..1, shape (len(places), 3, CROP_PX, CROP_PX)."""
        taken = torch.from_numpy(self.pixels[places.numpy()]).to(device)
        return taken.permute(0, 3, 1, 2).to(torch.float32) / 255


def load_training_set(config: RunConfig, data: Path, cache: Path) -> TrainingSet:
    """Read, check and prepare everything that a run trains on and is judged on.

    Raises:
        PermanentError: A manifest or an image is wrong, or `leak`: the split leaks.
    """
    parts, pixels = [], []
    for name in config.data_sets:
        read = read_samples(config.described(name), data / name)
        parts.append(read)
        pixels.append(prepare(read, cache))
    samples = [sample for part in parts for sample in part]
    stacked = np.concatenate(pixels)
    trained = np.concatenate([trained_mask(part, config) for part in parts])
    refuse_leaks(samples, trained, stacked)
    tasks = config.asked()
    targets = [
        [task.index(sample.labels.get(task.name, "")) for task in tasks] for sample in samples
    ]
    views = [[sample.data_set.view == task.view for task in tasks] for sample in samples]
    return TrainingSet(
        tuple(samples),
        stacked,
        torch.tensor(targets),
        torch.tensor(views),
        trained,
        weights_of(samples, trained, config),
    )


def draw(weights: torch.Tensor, count: int, dice: torch.Generator) -> torch.Tensor:
    """Draw places with replacement, each as often as its weight says."""
    return torch.multinomial(weights, count, replacement=True, generator=dice)


def trained_mask(samples: Sequence[Sample], config: RunConfig) -> NDArray[np.bool_]:
    """Return which samples are trained on: by the manifest's split, or all but one fold.

    Folds keep groups whole and labels alike, and are the same for every run.
    """
    if config.fold < 0:
        return np.array([sample.split == "train" for sample in samples])
    labels = [_primary_label(sample) for sample in samples]
    folds = StratifiedGroupKFold(config.folds, shuffle=True, random_state=0)
    parts = list(folds.split(labels, labels, connected_groups(samples)))
    trained = np.zeros(len(samples), bool)
    trained[parts[config.fold][0]] = True
    return trained


def weights_of(
    samples: Sequence[Sample], trained: NDArray[np.bool_], config: RunConfig
) -> torch.Tensor:
    """Return how often each sample is drawn, shape (n,), with a sum of 1.

    Args:
        samples: All of a run.
        trained: Shape (n,); the others are never drawn.
        config: Gives the data sets' parts and the balance of labels within each.
    """
    keys = [(sample.data_set.name, _primary_label(sample)) for sample in samples]
    counts = Counter(key for key, use in zip(keys, trained, strict=True) if use)
    raw = np.array(
        [
            counts[key] ** -config.balance if use else 0.0
            for key, use in zip(keys, trained, strict=True)
        ]
    )
    names = np.array([name for name, _ in keys])
    for name, part in config.data_sets.items():
        here = names == name
        raw[here] *= part / max(raw[here].sum(), 1e-12)
    return torch.from_numpy(raw / raw.sum())


def _primary_label(sample: Sample) -> str:
    """Return the finest label of a sample; empty where it has none."""
    return next(iter(sample.labels.values()), "")
