"""The samples of a run: pixels, targets, which are trained on and which judge, and the draws."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from hemaline_shared.errors import PermanentError
from hemaline_train.data.leakage import connected_groups, refuse_leaks
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample, read_samples
from hemaline_train.learning.config import RunConfig

UNKNOWN = -1
"""The target of a sample that a task says nothing about."""

_SOME = 96


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """What the manifests say before any picture is opened.

    Attributes:
        samples: All of a run, data set by data set.
        trained: Shape (n,): whether the sample is trained on; the others judge.
    """

    samples: tuple[Sample, ...]
    trained: NDArray[np.bool_]


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

    def some_trained(self) -> torch.Tensor:
        """Return crops that are trained on, evenly spread over all data sets, as `batch` does."""
        seen = np.flatnonzero(self.trained)
        at = np.linspace(0, len(seen) - 1, min(len(seen), _SOME)).astype(np.intp)
        return self.batch(torch.from_numpy(seen[at]), torch.device("cpu"))


def load_training_set(config: RunConfig, data: Path, cache: Path) -> TrainingSet:
    """Read, check and prepare everything that a run trains on and is judged on.

    Raises:
        PermanentError: A manifest or an image is wrong, `no-samples`, `folds`, or `leak`: the
            split leaks.
    """
    return prepare_split(config, read_split(config, data), cache)


def prepare_split(config: RunConfig, split: Split, cache: Path) -> TrainingSet:
    """Cut what the manifests name, and check that nothing judges that is also trained on.

    Raises:
        PermanentError: An image is wrong, or `leak`: the split leaks.
    """
    samples, trained = split.samples, split.trained
    stacked = np.concatenate([prepare(part, cache) for part in _by_data_set(samples)])
    refuse_leaks(samples, trained, stacked)
    tasks = config.asked()
    targets = [
        [task.index(sample.labels.get(task.name, "")) for task in tasks] for sample in samples
    ]
    views = [[sample.data_set.view == task.view for task in tasks] for sample in samples]
    return TrainingSet(
        samples,
        stacked,
        torch.tensor(targets),
        torch.tensor(views),
        trained,
        weights_of(samples, trained, config),
    )


def read_split(config: RunConfig, data: Path) -> Split:
    """Read the manifests of a run, and decide what trains.

    Raises:
        PermanentError: A manifest is wrong, `folds`: there are too few groups, or `no-samples`:
            nothing trains, or a data set is empty.
    """
    parts = [
        read_samples(config.described(name), data / name, reviewed=config.reviewed)
        for name in config.data_sets
    ]
    samples = tuple(sample for part in parts for sample in part)
    trained = trained_mask(samples, config)
    kept = _on_their_side(samples, trained)
    samples, trained = tuple(compress(samples, kept)), trained[kept]
    if not trained.any():
        splits = ", ".join(sorted({sample.split for sample in samples}))
        raise PermanentError(
            "no-samples",
            f"No picture trains: in the manifests' column `split` stands {splits}, and only "
            "pictures of `train`, spelt so, do.",
        )
    return Split(samples, trained)


def draw(weights: torch.Tensor, count: int, dice: torch.Generator) -> torch.Tensor:
    """Draw places with replacement, each as often as its weight says."""
    return torch.multinomial(weights, count, replacement=True, generator=dice)


def trained_mask(samples: Sequence[Sample], config: RunConfig) -> NDArray[np.bool_]:
    """Return which samples are trained on: by the manifest's split, or all but one fold.

    Folds keep groups whole and labels alike, and are the same for every run: those of a data set
    do not depend on the others', and further cells of its patients follow it.

    Raises:
        PermanentError: `folds`: there are not enough groups or pictures for so many.
    """
    if config.fold < 0:
        return np.array([sample.split == "train" for sample in samples])
    judging: set[str] = set()
    for home in dict.fromkeys(sample.data_set.home for sample in samples):
        patients = [one for one in samples if one.data_set.home == home]
        # The set itself decides, so that its folds are the same without further cells.
        own = [one for one in patients if one.data_set.name == home]
        judging |= _judging_groups(own or patients, config)
    return np.array([judging.isdisjoint(sample.groups[:1]) for sample in samples])


def _judging_groups(samples: Sequence[Sample], config: RunConfig) -> set[str]:
    labels, groups = [_primary_label(sample) for sample in samples], connected_groups(samples)
    folds = StratifiedGroupKFold(config.folds, shuffle=True, random_state=0)
    try:
        parts = list(folds.split(labels, labels, groups))
    except ValueError as error:
        raise PermanentError(
            "folds",
            f"{samples[0].data_set.name} has {len(set(groups))} groups and at most "
            f"{max(Counter(labels).values())} pictures of a label: too few for {config.folds} "
            "folds. Set `folds` lower, or train without --fold.",
        ) from error
    return {samples[place].groups[0] for place in parts[config.fold][1]}


def _on_their_side(samples: Sequence[Sample], trained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which samples stay: all but those of a group of another set that is on another side.

    Some images of a set may be of a group of another set, whose sides are decided there.
    """
    sides = {
        group: bool(trains)
        for sample, trains in zip(samples, trained, strict=True)
        if sample.data_set.class_file is None
        for group in sample.groups
    }
    return np.array(
        [
            sample.data_set.class_file is None
            or all(sides.get(group, trains) == trains for group in sample.groups)
            for sample, trains in zip(samples, trained, strict=True)
        ]
    )


def weights_of(
    samples: Sequence[Sample], trained: NDArray[np.bool_], config: RunConfig
) -> torch.Tensor:
    """Return how often each sample is drawn, shape (n,), with a sum of 1.

    Args:
        samples: All of a run.
        trained: Shape (n,); the others are never drawn.
        config: Gives the data sets' parts and the balance of labels within each; a set and further
            cells of its patients share the sum of their parts.
    """
    keys = [(sample.data_set.home, _primary_label(sample)) for sample in samples]
    counts = Counter(key for key, use in zip(keys, trained, strict=True) if use)
    raw = np.array(
        [
            counts[key] ** -config.balance if use else 0.0
            for key, use in zip(keys, trained, strict=True)
        ]
    )
    homes = np.array([home for home, _ in keys])
    parts: dict[str, float] = {}
    for name, part in config.data_sets.items():
        home = config.described(name).home
        parts[home] = parts.get(home, 0.0) + part
    for home, part in parts.items():
        here = homes == home
        raw[here] *= part / max(raw[here].sum(), 1e-12)
    return torch.from_numpy(raw / raw.sum())


def _by_data_set(samples: Sequence[Sample]) -> list[list[Sample]]:
    return [list(part) for _, part in groupby(samples, key=lambda sample: sample.data_set.name)]


def _primary_label(sample: Sample) -> str:
    """Return the finest label of a sample; empty where it has none."""
    return next(iter(sample.labels.values()), "")
