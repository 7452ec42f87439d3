"""Judge any bundle on any data set, also one that training never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Confusion
from hemaline_train.bundles.bundle import Bundle, read_bundle
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.data.catalogue import KNOWN, known_data_set
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.lab_data import lab_data_set
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample, labels_in, read_samples
from hemaline_train.data.tasks import APL, Task
from hemaline_train.judging.confusion import measure_confusion
from hemaline_train.judging.cross_laboratory import Laboratory, judge_laboratory
from hemaline_train.judging.subjects import Probabilities
from hemaline_train.judging.task_evaluation import AVERAGE, TaskEvaluation, evaluate_task

ALL = "all"
"""The split that means every row of a manifest."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What a bundle answered to one task on samples of one data set.

    Attributes:
        answers: `AVERAGE` and each network's name -> calibrated probabilities, shape (n, labels).
        points: The operating points by which the answers are served; none where they are not.
        training_saw: Whether some of the very samples may have been trained on.
        trained_on: Whether training saw images of this data set at all.
    """

    bundle_id: str
    task: Task
    samples: tuple[Sample, ...]
    answers: Mapping[str, Probabilities]
    split: str
    training_saw: bool
    trained_on: bool
    points: tuple[float, ...] = ()

    def evaluation(self, resamples: int = 1000) -> TaskEvaluation:
        """Judge the answers; `resamples` make the intervals."""
        return evaluate_task(
            self.bundle_id,
            self.task,
            self.samples,
            self.answers,
            self.split,
            resamples,
            points=self.points,
            training_saw=self.training_saw,
        )

    def laboratory(self, resamples: int = 1000) -> Laboratory:
        """Judge what is served as a row beside other laboratories."""
        return judge_laboratory(
            self.task,
            self.samples,
            self.answers[AVERAGE],
            self.split,
            trained_on=self.trained_on,
            resamples=resamples,
        )


def evaluate_bundle(
    folder: Path,
    data_set_folder: Path,
    split: str,
    cache: Path,
    *,
    resamples: int = 1000,
) -> list[TaskEvaluation]:
    """Answer and judge: see `answer`; `resamples` make the intervals."""
    answered = answer(read_bundle(folder), data_set_folder, split, cache)
    return [one.evaluation(resamples) for one in answered]


def answer(
    bundle: Bundle,
    data_set_folder: Path,
    split: str,
    cache: Path,
    *,
    um_per_px: float | None = None,
    like: str = "",
    reviewed: bool = True,
) -> list[Answered]:
    """Run a bundle on a data set's samples that its tasks know, through the pixel pipeline.

    Args:
        bundle: As read.
        data_set_folder: Of the data set: one of the catalogue, or a lab's own with the labels of
            one of the bundle's tasks.
        split: Which rows of the manifest, "all" for every one.
        cache: For prepared pixels.
        um_per_px: The optics of a lab's own images; None for those of the run that trained on this
            data set, and where there are none, to judge each image by its red cells.
        like: The name of a set of the catalogue that this folder's manifest is to be read as.
        reviewed: Whether people's verdicts on labels count, as for `read_samples`.

    Returns:
        One for each task of the bundle that the data set answers.

    Raises:
        PermanentError: The data cannot be read, `no-samples`, or `unknown-label`: the bundle was
            not taught one of the labels.
    """
    # Not resolved: a link in the data directory has the name by which training knows the set.
    described = _described(bundle, data_set_folder.absolute(), um_per_px, like)
    samples = [
        sample
        for sample in read_samples(described, data_set_folder, reviewed=reviewed)
        if split in (sample.split, ALL) and any(t.name in sample.labels for t in bundle.tasks)
    ]
    if not samples:
        asked = ", ".join(task.name for task in bundle.tasks)
        raise PermanentError(
            "no-samples", f"{data_set_folder} has no sample of {asked} in its split {split}."
        )
    logits = bundle.logits(prepare(samples, cache))
    return [
        _answered(bundle, task, at, samples, logits, split)
        for task in bundle.tasks
        for at in ([place for place, one in enumerate(samples) if task.name in one.labels],)
        if at
    ]


def confusion_of(answered: Sequence[Answered]) -> tuple[str, Confusion]:
    """Return the task that names cells and how often its served answers erred.

    Raises:
        PermanentError: `no-samples`: the data set has no labelled cells; `seen-in-training`: its
            figures would flatter.
    """
    named = [one for one in answered if one.task.view == "cell" and one.task != APL and one.points]
    if not named:
        raise PermanentError("no-samples", "No sample of this data set has a cell's class.")
    one = named[0]
    home = f"{one.samples[0].data_set.name}, {one.split}"
    if one.training_saw:
        raise PermanentError(
            "seen-in-training",
            f"Training may have seen {home}: its errors there are fewer than elsewhere. "
            "Name a split or a data set that was kept from it.",
        )
    confusion = measure_confusion(one.task, one.samples, one.answers[AVERAGE], one.points, home)
    return one.task.name, confusion


def _answered(
    bundle: Bundle,
    task: Task,
    at: Sequence[int],
    samples: Sequence[Sample],
    logits: Mapping[str, Logits],
    split: str,
) -> Answered:
    chosen = [samples[place] for place in at]
    home = chosen[0].data_set
    if unknown := {one.labels[task.name] for one in chosen} - set(task.labels):
        raise PermanentError(
            "unknown-label",
            f"{home.name} has labels that {bundle.bundle_id} was not taught in {task.name}: "
            f"{', '.join(sorted(unknown))}.",
        )
    own = {network: given[at] for network, given in logits.items()}
    served = task == bundle.tasks[0] or task == APL
    return Answered(
        bundle.bundle_id,
        task,
        tuple(chosen),
        {AVERAGE: bundle.average(own, task), **bundle.probabilities(own, task)},
        split,
        training_saw(bundle, chosen),
        _taught(bundle, home),
        bundle.points.get(task.name, ()) if served and task.view == "cell" else (),
    )


def _described(bundle: Bundle, folder: Path, um_per_px: float | None, like: str) -> DataSet:
    if like or folder.name in KNOWN:
        return known_data_set(like or folder.name)
    if um_per_px is None:
        um_per_px = _optics_in_training(bundle, folder.name)
    given = labels_in(folder)
    knowing = (task for task in bundle.tasks if given <= set(task.labels))
    return lab_data_set(folder.name, next(knowing, bundle.tasks[0]), um_per_px)


def _optics_in_training(bundle: Bundle, data_set: str) -> float | None:
    known = (c.get("own_um_per_px") for c in bundle.configs if data_set in c["data_sets"])
    return next(known, None)


def training_saw(bundle: Bundle, samples: Sequence[Sample]) -> bool:
    """Return whether a run of the bundle may have trained on one of these samples.

    Names and splits decide. What another set of the catalogue shares with a set that was trained on
    is taken for seen: which images these are, nobody recorded.
    """
    return any(
        config.get("fold", -1) >= 0 or sample.split == "train" or name in shared
        for config in bundle.configs
        for sample in samples
        for shared in (sample.data_set.same_images_as,)
        for name in _names(sample.data_set)
        if name in config["data_sets"]
    )


def _taught(bundle: Bundle, data_set: DataSet) -> bool:
    return any(
        name in config["data_sets"] for config in bundle.configs for name in _names(data_set)
    )


def _names(data_set: DataSet) -> tuple[str, ...]:
    """Return the names under which training may have seen some of a set's images or patients."""
    return (*_same_patients(data_set), *data_set.same_images_as)


def _same_patients(data_set: DataSet) -> tuple[str, ...]:
    """Return the names of the sets whose patients, on the same sides, these are."""
    return tuple(name for name, one in KNOWN.items() if one.home == data_set.home) or (
        data_set.name,
    )
