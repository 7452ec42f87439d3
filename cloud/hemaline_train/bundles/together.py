"""Calibrate the networks of a bundle together, on samples that none of them trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Calibration, Confusion
from hemaline_train.bundles.bundle import Bundle, ServedNetwork, task_slices
from hemaline_train.bundles.calibrate import Logits, fit_average, operating_points, patient_points
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import APL, Task
from hemaline_train.judging.blasts import BLASTS
from hemaline_train.judging.confusion import measure_confusion
from hemaline_train.judging.subjects import by_patient, truth_of

_PRECISION = 0.85
"""Of the answers that are not called unclassified: as often as experts and a CellaVision DM96 agree
(82 to 89 %). Blasts are let through below it: one too many is looked at, a hidden one is missed."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The samples that judge one task: crops among all judging ones, and their truth."""

    task: Task
    places: NDArray[np.intp]
    truth: NDArray[np.intp]
    samples: tuple[Sample, ...]

    @property
    def groups(self) -> list[str]:
        """Whose each sample is."""
        return [sample.groups[0] for sample in self.samples]


def judged_by(task: Task, samples: Sequence[Sample]) -> Judged:
    """Return those of the samples that judge a task.

    Raises:
        PermanentError: `no-samples`: none does.
    """
    places = [
        place
        for place, sample in enumerate(samples)
        if task.index(sample.labels.get(task.name, "")) >= 0
    ]
    if not places:
        raise PermanentError("no-samples", f"No sample of {task.name} was kept from training.")
    own = tuple(samples[place] for place in places)
    return Judged(task, np.array(places, np.intp), truth_of(task, own), own)


def calibrated_together(
    bundle: Bundle, judged: Sequence[Judged], logits: Mapping[str, Logits]
) -> Bundle:
    """Return the bundle with temperatures, weights, operating points and its confusion.

    Args:
        bundle: Its networks' calibration is replaced.
        judged: One for each of its tasks.
        logits: Network name -> what it gives all samples that judge.
    """
    bundle = replace(bundle, networks=_calibrated(bundle, judged, logits))
    bundle = replace(bundle, points={one.task.name: _points(one, bundle, logits) for one in judged})
    return replace(bundle, confusions=_confusion(judged, bundle, logits))


def _calibrated(
    bundle: Bundle, judged: Sequence[Judged], logits: Mapping[str, Logits]
) -> tuple[ServedNetwork, ...]:
    found: dict[str, dict[str, Calibration]] = {network.name: {} for network in bundle.networks}
    for one in judged:
        part = task_slices(bundle.tasks)[one.task.name]
        given = [logits[network.name][one.places, part] for network in bundle.networks]
        for network, fitted in zip(bundle.networks, fit_average(given, one.truth), strict=True):
            found[network.name][one.task.name] = fitted
    return tuple(replace(one, calibration=found[one.name]) for one in bundle.networks)


def _points(judged: Judged, bundle: Bundle, logits: Mapping[str, Logits]) -> tuple[float, ...]:
    """Return the operating point of each label of one task."""
    own = {name: given[judged.places] for name, given in logits.items()}
    average = bundle.average(own, judged.task)
    if judged.task == APL:
        return patient_points(by_patient(judged.truth, judged.groups, average[:, 1]))
    blasts = [place for place, label in enumerate(judged.task.labels) if label in BLASTS]
    return tuple(operating_points(average, judged.truth, _PRECISION, blasts))


def _confusion(
    judged: Sequence[Judged], bundle: Bundle, logits: Mapping[str, Logits]
) -> dict[str, Confusion]:
    """Measure how often the task that names cells errs; other tasks' errors enter no interval.

    On every laboratory that judges: a class that the first one lacks would else be of unknown
    errors, and every other class could be it.
    """
    for one in judged:
        if one.task.view != "cell":
            continue
        own = {name: given[one.places] for name, given in logits.items()}
        points, average = bundle.points[one.task.name], bundle.average(own, one.task)
        sets = dict.fromkeys(sample.data_set.name for sample in one.samples)
        judged_on = f"{', '.join(sets)}, val"
        return {
            one.task.name: measure_confusion(one.task, one.samples, average, points, judged_on),
        }
    return {}
