"""Choose which cells one network of a bundle may answer alone, on what judged its networks."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Confusion, FirstLook
from hemaline_train.bundles.answers import run_graph
from hemaline_train.bundles.bundle import Bundle, ServedNetwork, task_slices
from hemaline_train.bundles.calibrate import Logits, fit_temperature
from hemaline_train.bundles.together import judged_by
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import IMMATURE_CLASSES, Task
from hemaline_train.judging.blasts import BLASTS, judge_blast_shares
from hemaline_train.judging.confusion import measure_confusion
from hemaline_train.judging.metrics import Interval, balanced_accuracy, calibration_error
from hemaline_train.judging.served import served_answers
from hemaline_train.judging.subjects import Probabilities, truth_of

LEAST = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""The probabilities that are tried."""
MOST_LOST = 0.005
"""Half a point, of balanced accuracy and of the other figures that decide."""
_TIMED_CROPS, _TIMES = 16, 2


@dataclass(frozen=True, slots=True)
class Served:
    """What is served on one data set.

    Attributes:
        asked_all: The share of cells of which every network is asked.
        blast_error: The mean absolute error of a patient's blast share; None without one.
    """

    asked_all: float
    accuracy: float
    calibration_error: float
    blast_error: float | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What comes of one least probability.

    Attributes:
        first: None where every network is asked of every cell.
        changed: Cells that are shown under another class than all networks would give them.
        blasts_lost: Those among them that all networks call a blast.
        work: What the networks compute for the cells that judge, as a share of what they do where
            every one is asked of every cell.
        served: Data set -> what is served there.
    """

    first: FirstLook | None
    asked_all: float
    work: float
    changed: int
    blasts_lost: int
    served: Mapping[str, Served]


def try_first_looks(
    bundle: Bundle,
    network: str,
    samples: Sequence[Sample],
    logits: Mapping[str, Logits],
    ms: Mapping[str, float],
) -> Iterator[Tried]:
    """Ask every network, then try each of `LEAST`, on samples that trained none of the networks.

    Args:
        bundle: Calibrated; a first look that it has is passed over.
        network: The one that is asked first.
        samples: Those that judged the networks.
        logits: Network name -> what it gives them.
        ms: Network name -> milliseconds of one core for a crop.

    Raises:
        PermanentError: `no-network`, or `no-samples`.
    """
    naming = _naming(bundle)
    if network not in {one.name for one in bundle.networks}:
        raise PermanentError("no-network", f"{bundle.bundle_id} has no network {network}.")
    plain = replace(bundle, first_look=None)
    one = judged_by(naming, samples)
    own = {name: given[one.places] for name, given in logits.items()}
    before = _classes(plain, naming, own)
    temperatures = _temperatures(plain, network, samples, logits)
    blasts = [naming.index(label) for label in naming.labels if label in _urgent(bundle, naming)]
    rules = [_rule(bundle, network, temperatures, least, one.samples) for least in LEAST]
    for first in (None, *rules):
        tried = replace(bundle, first_look=first)
        after, alone = _classes(tried, naming, own), tried.answered_alone(own)
        asked_all = 1 - float(alone.mean())
        own_work = ms[network] / sum(ms.values())
        yield Tried(
            first,
            asked_all,
            own_work + asked_all * (1 - own_work) if first else 1.0,
            int((after != before).sum()),
            int((np.isin(before, blasts) & ~np.isin(after, blasts)).sum()),
            dict(_served(tried, naming, one.samples, own)),
        )


def chosen(tried: Sequence[Tried]) -> Tried | None:
    """Return the lowest probability that hides no blast and loses nothing, None where all do.

    Nothing: no data set loses more than half a point of balanced accuracy or of the blast share,
    nor does the mean calibration error of all sets; that of a small one hangs on single cells.

    Args:
        tried: As `try_first_looks` gives them.
    """
    whole = tried[0].served
    return next(
        (one for one in tried[1:] if not one.blasts_lost and _loses_nothing(one.served, whole)),
        None,
    )


def confusion_of(
    bundle: Bundle, samples: Sequence[Sample], logits: Mapping[str, Logits]
) -> dict[str, Confusion]:
    """Return how often the task that names cells errs as the bundle serves it."""
    naming = _naming(bundle)
    one = judged_by(naming, samples)
    own = {name: given[one.places] for name, given in logits.items()}
    sets = dict.fromkeys(sample.data_set.name for sample in one.samples)
    average, points = bundle.average(own, naming), bundle.points[naming.name]
    judged_on = f"{', '.join(sets)}, val"
    return {naming.name: measure_confusion(naming, one.samples, average, points, judged_on)}


def ms_a_crop(networks: Sequence[ServedNetwork], pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return network name -> processor milliseconds for a crop, the least of a few times."""
    crops = pixels[:_TIMED_CROPS]
    return {one.name: min(_ms(one.graph, crops) for _ in range(_TIMES)) for one in networks}


def _ms(graph: bytes, crops: NDArray[np.uint8]) -> float:
    # Twice as many against as many: what starting a session takes falls out.
    def spent(times: int) -> float:
        started = time.process_time()
        run_graph(graph, np.concatenate([crops] * times), batch=len(crops))
        return time.process_time() - started

    return 1000 * (spent(2) - spent(1)) / len(crops)


def _naming(bundle: Bundle) -> Task:
    return next(task for task in bundle.tasks if task.view == "cell")


def _urgent(bundle: Bundle, naming: Task) -> set[str]:
    """Return the labels that may raise a flag: blasts, and what further questions are about."""
    further = IMMATURE_CLASSES if any(t.asked_of_immature_cells for t in bundle.tasks) else ()
    return {*BLASTS, *further} & set(naming.labels)


def _rule(
    bundle: Bundle,
    network: str,
    temperatures: Mapping[str, float],
    least: float,
    samples: Sequence[Sample],
) -> FirstLook:
    naming = _naming(bundle)
    points = dict(zip(naming.labels, bundle.points[naming.name], strict=True))
    urgent = _urgent(bundle, naming)
    sets = dict.fromkeys(sample.data_set.name for sample in samples)
    return FirstLook(
        network=network,
        temperatures=dict(temperatures),
        enough={label: max(least, points[label]) for label in naming.labels if label not in urgent},
        judged_on=f"{', '.join(sets)}, val",
    )


def _temperatures(
    bundle: Bundle, network: str, samples: Sequence[Sample], logits: Mapping[str, Logits]
) -> dict[str, float]:
    found = {}
    for task in bundle.tasks:
        one = judged_by(task, samples)
        own = logits[network][one.places, task_slices(bundle.tasks)[task.name]]
        found[task.name] = round(fit_temperature(own, one.truth), 4)
    fields = [task for task in bundle.tasks if task.view == "field"]
    if all(_is_enough(bundle, network, task, samples, logits) for task in fields):
        return found
    return {task.name: found[task.name] for task in bundle.tasks if task.view == "cell"}


def _is_enough(
    bundle: Bundle,
    network: str,
    task: Task,
    samples: Sequence[Sample],
    logits: Mapping[str, Logits],
) -> bool:
    """Tell whether one network alone loses next to nothing of what all answer to a task."""
    one = judged_by(task, samples)
    own = {name: given[one.places] for name, given in logits.items()}
    alone = own[network][:, task_slices(bundle.tasks)[task.name]].argmax(axis=1)
    whole = bundle.average(own, task).argmax(axis=1)
    before, after = (balanced_accuracy(one.truth, given) or 0.0 for given in (whole, alone))
    return before - after <= MOST_LOST


def _classes(bundle: Bundle, naming: Task, logits: Mapping[str, Logits]) -> NDArray[np.intp]:
    """Return the place of each cell's label, -1 for an unclassified one."""
    return served_answers(bundle.average(logits, naming), bundle.points[naming.name])


def _served(
    bundle: Bundle, naming: Task, samples: Sequence[Sample], logits: Mapping[str, Logits]
) -> Iterator[tuple[str, Served]]:
    names = np.array([sample.data_set.name for sample in samples])
    average, alone = bundle.average(logits, naming), bundle.answered_alone(logits)
    given = _classes(bundle, naming, logits)
    for name in dict.fromkeys(names.tolist()):
        at = np.flatnonzero(names == name)
        own = [samples[place] for place in at.tolist()]
        shares = judge_blast_shares(naming, own, given[at], resamples=0)
        yield name, _figures(naming, own, average[at], alone[at], shares)


def _figures(
    naming: Task,
    samples: Sequence[Sample],
    average: Probabilities,
    alone: NDArray[np.bool_],
    shares: Mapping[str, Interval],
) -> Served:
    truth = truth_of(naming, samples)
    error = shares.get("mean_absolute_error")
    return Served(
        1 - float(alone.mean()),
        balanced_accuracy(truth, average.argmax(axis=1)) or 0.0,
        calibration_error(truth, average) or 0.0,
        error.value if error else None,
    )


def _loses_nothing(served: Mapping[str, Served], whole: Mapping[str, Served]) -> bool:
    worse = [one.calibration_error - whole[name].calibration_error for name, one in served.items()]
    return sum(worse) / len(worse) <= MOST_LOST and all(
        whole[name].accuracy - one.accuracy <= MOST_LOST
        and (one.blast_error or 0.0) - (whole[name].blast_error or 0.0) <= MOST_LOST
        for name, one in served.items()
    )
