"""The headline figure: what is left of a network on a laboratory that training never saw."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hemaline_shared.errors import PermanentError
from hemaline_train.data.connected import first_connected
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample, read_samples
from hemaline_train.data.tasks import Task
from hemaline_train.judging.cross_laboratory import Laboratory, judge_laboratory
from hemaline_train.judging.ranks import device_named
from hemaline_train.judging.subjects import Probabilities, truth_of
from hemaline_train.learning.checkpoint import FILE, finished_run
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.frozen import frozen_features
from hemaline_train.learning.networks import Network
from hemaline_train.learning.precision import mixed_precision
from hemaline_train.learning.run import Places
from hemaline_train.learning.train import train

_BATCH = 64
_FROZEN = "efficientnet-lite0"
_FROZEN_PX = 160
_FROZEN_C = 0.003
"""Of the logistic regression on 1280 standardised features."""

Answers = Callable[[str, NDArray[np.uint8]], Probabilities]
"""From a laboratory's name and its crops to probabilities, by what never saw the laboratory."""


def laboratories(config: RunConfig, task: Task) -> dict[str, tuple[str, ...]]:
    """Return laboratory -> its data sets among a run's, where one of them answers a task.

    Sets of the same patients, and sets that share images, are of one laboratory, which bears the
    name of the first.
    """
    described = {name: config.described(name) for name in config.data_sets}
    links = [
        (name, other)
        for name, one in described.items()
        for other in (one.home, *one.same_images_as)
        if other in described
    ]
    first = first_connected(described, links)
    found: dict[str, tuple[str, ...]] = {}
    for name in described:
        found[first[name]] = (*found.get(first[name], ()), name)
    return {
        laboratory: sets
        for laboratory, sets in found.items()
        if any(task.name == own.name for name in sets for own in described[name].tasks)
    }


def leave_one_out(
    config: RunConfig,
    task: Task,
    places: Places,
    answers: Answers,
    only: Sequence[str] = (),
    resamples: int = 1000,
) -> Iterator[Laboratory]:
    """Judge each laboratory of a run by what learned from all the others; yield a row for each.

    Args:
        config: Names the data sets.
        task: What is judged: over the labels that occur in the laboratory.
        places: Where the data are.
        answers: By what never saw the laboratory.
        only: These laboratories; all where none is named.
        resamples: For the intervals.

    Raises:
        PermanentError: `unknown-laboratory`, `no-samples`: there are not two laboratories, or the
            data cannot be read.
    """
    known = laboratories(config, task)
    if len(known) < 2:
        raise PermanentError(
            "no-samples",
            f"{config.name} has one laboratory that answers {task.name}: it takes two.",
        )
    if unknown := [name for name in only if name not in known]:
        raise PermanentError(
            "unknown-laboratory",
            f"{config.name} has no laboratory {', '.join(unknown)}; it has {', '.join(known)}.",
        )
    for laboratory in only or known:
        samples, pixels = _cells(config, task, known[laboratory], places)
        given = answers(laboratory, pixels)
        yield judge_laboratory(task, samples, given, "all", trained_on=False, resamples=resamples)


def trained_answers(config: RunConfig, task: Task, places: Places, device: str) -> Answers:
    """Return what trains a run without each laboratory, goes on where it stopped, and answers."""
    known = laboratories(config, task)

    def answer(laboratory: str, pixels: NDArray[np.uint8]) -> Probabilities:
        left = config.without(laboratory, known[laboratory])
        train(left, places, device)
        network = finished_run(places.runs / left.name / FILE).network.to(device_named(device))
        return _answers(network.eval(), task, pixels, device_named(device))

    return answer


def frozen_answers(config: RunConfig, task: Task, places: Places) -> Answers:
    """Return what fits a logistic regression to ImageNet's features of the other laboratories."""
    known = laboratories(config, task)
    seen: dict[str, tuple[NDArray[np.float32], NDArray[np.intp]]] = {}

    def described(laboratory: str) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return a laboratory's features and labels; they are asked for again and again."""
        if laboratory not in seen:
            samples, pixels = _cells(config, task, known[laboratory], places)
            features = frozen_features(_FROZEN, places.weights, pixels, _FROZEN_PX)
            seen[laboratory] = features, truth_of(task, samples)
        return seen[laboratory]

    def answer(laboratory: str, _pixels: NDArray[np.uint8]) -> Probabilities:
        taught = [described(name) for name in known if name != laboratory]
        features, aims = (np.concatenate(part) for part in zip(*taught, strict=True))
        # Each laboratory weighs the same, as it does where a network draws from them.
        weights = np.concatenate([np.full(len(own), 1 / len(own)) for _, own in taught])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=_FROZEN_C, max_iter=300))
        model.fit(features, aims, logisticregression__sample_weight=weights / weights.mean())
        judged, _ = described(laboratory)
        found = np.zeros((len(judged), len(task.labels)))
        found[:, model[-1].classes_] = model.predict_proba(judged)
        return found

    return answer


def mean_of(rows: Sequence[Laboratory]) -> float | None:
    """Return the mean of the balanced accuracies as served; None where one is not defined."""
    values = [row.served.value for row in rows]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _cells(
    config: RunConfig, task: Task, names: Sequence[str], places: Places
) -> tuple[list[Sample], NDArray[np.uint8]]:
    """Return the samples of some data sets that have a label of a task, and their crops."""
    samples: list[Sample] = []
    crops = []
    for name in names:
        read = read_samples(config.described(name), places.data / name, reviewed=config.reviewed)
        at = [place for place, sample in enumerate(read) if task.name in sample.labels]
        samples += [read[place] for place in at]
        # All of a set are cut at once: so training does, and the cache holds them.
        crops.append(prepare(read, places.cache)[at])
    if not samples:
        raise PermanentError("no-samples", f"{', '.join(names)} has no label of {task.name}.")
    return samples, np.concatenate(crops)


def _answers(
    network: Network, task: Task, pixels: NDArray[np.uint8], device: torch.device
) -> Probabilities:
    part = network.slices()[task.name]
    given = []
    with torch.inference_mode(), mixed_precision(device):
        for start in range(0, len(pixels), _BATCH):
            taken = torch.from_numpy(np.array(pixels[start : start + _BATCH])).to(device)
            crops = taken.permute(0, 3, 1, 2).to(torch.float32) / 255
            given.append(network(crops).logits[:, part].float().softmax(dim=1).cpu().numpy())
    return np.concatenate(given).astype(np.float64)
