"""Judge any bundle on any data set, also one that training never saw."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Confusion
from hemaline_train.bundles.bundle import Bundle, read_bundle
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.data.catalogue import KNOWN, known_data_set
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.prepare import prepare
from hemaline_train.data.samples import Sample, labels_in, read_samples
from hemaline_train.data.tasks import APL, Task
from hemaline_train.judging.confusion import measure_confusion
from hemaline_train.judging.cross_laboratory import Laboratory, judge_laboratory
from hemaline_train.judging.subjects import Probabilities
from hemaline_train.judging.task_evaluation import AVERAGE, TaskEvaluation, evaluate_task
from hemaline_train.reports.foreign_labels import foreign_data_set, told

ALL = "all"
"""The split that means every row of a manifest."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What a bundle answered to one task on samples of one data set.

    Attributes:
        answers: `AVERAGE` and each network's name -> calibrated probabilities, shape (n, labels).
        points: The operating points by which the answers are served; none where they are not.
        left_out: Label -> how many pictures of it are not judged, for the bundle has no such label.
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
    left_out: Mapping[str, int] = field(default_factory=dict)

    def evaluation(self, resamples: int = 1000) -> TaskEvaluation:
        """Judge the answers; `resamples` make the intervals."""
        judged = evaluate_task(
            self.bundle_id,
            self.task,
            self.samples,
            self.answers,
            self.split,
            resamples,
            points=self.points,
            training_saw=self.training_saw,
        )
        return replace(judged, left_out=told(self.left_out, self.bundle_id))

    def only(self, at: Sequence[int]) -> "Answered":
        """Return the answers to some of the samples."""
        return replace(
            self,
            samples=tuple(self.samples[place] for place in at),
            answers={name: given[at] for name, given in self.answers.items()},
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
        data_set_folder: Of the data set: one of the catalogue, or anybody's own; labels that are
            finer than a task's, or spelt otherwise, are understood (`foreign_labels`).
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
            taught none of the labels.
    """
    # Not resolved: a link in the data directory has the name by which training knows the set.
    described = _described(bundle, data_set_folder.absolute(), um_per_px, like)
    read = read_samples(described, data_set_folder, reviewed=reviewed)
    asked = {task.name: task for task in bundle.tasks}
    chosen = [one for one in read if split in (one.split, ALL) and asked.keys() & one.labels.keys()]
    samples = [
        one
        for one in chosen
        if any(one.labels.get(name) in task.labels for name, task in asked.items())
    ]
    if not samples:
        raise _nothing_to_judge(bundle, data_set_folder, split, read, chosen)
    logits = bundle.logits(prepare(samples, cache), cache)
    return [
        _answered(bundle, task, at, samples, logits, split, _left_out(task, chosen))
        for task in bundle.tasks
        for at in (
            [
                place
                for place, one in enumerate(samples)
                if one.labels.get(task.name) in task.labels
            ],
        )
        if at
    ]


def _left_out(task: Task, samples: Sequence[Sample]) -> dict[str, int]:
    labels = (sample.labels.get(task.name) for sample in samples)
    return dict(Counter(one for one in labels if one is not None and one not in task.labels))


def _nothing_to_judge(
    bundle: Bundle, folder: Path, split: str, read: Sequence[Sample], chosen: Sequence[Sample]
) -> PermanentError:
    asked = ", ".join(task.name for task in bundle.tasks)
    if chosen:
        labels = sorted({label for one in chosen for label in one.labels.values()})
        return PermanentError(
            "unknown-label",
            f"{folder} has labels that {bundle.bundle_id} was not taught: {', '.join(labels)}. "
            f"It knows {', '.join(bundle.tasks[0].labels)}.",
        )
    splits = ", ".join(sorted({one.split for one in read}))
    return PermanentError(
        "no-samples",
        f"{folder} has no sample of {asked} in its split {split}. Its splits are {splits}: name "
        "one with --split, or all.",
    )


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
    left_out: Mapping[str, int],
) -> Answered:
    chosen = [samples[place] for place in at]
    home = chosen[0].data_set
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
        left_out,
    )


def _described(bundle: Bundle, folder: Path, um_per_px: float | None, like: str) -> DataSet:
    if like or folder.name in KNOWN:
        return known_data_set(like or folder.name)
    if um_per_px is None:
        um_per_px = _optics_in_training(bundle, folder.name)
    return foreign_data_set(folder.name, labels_in(folder), bundle.tasks, um_per_px)


def _optics_in_training(bundle: Bundle, data_set: str) -> float | None:
    if data_set == bundle.adapted_to:
        adapted: float | None = bundle.provenance["adapted"]["um_per_px"]
        return adapted
    known = (c.get("own_um_per_px") for c in bundle.configs if data_set in c["data_sets"])
    return next(known, None)


def training_saw(bundle: Bundle, samples: Sequence[Sample]) -> bool:
    """Return whether a run of the bundle may have trained on one of these samples.

    Names and splits decide. What another set of the catalogue shares with a set that was trained on
    is taken for seen: which images these are, nobody recorded.
    """
    if any(one.split == "train" and one.data_set.name == bundle.adapted_to for one in samples):
        return True
    return any(
        config.get("fold", -1) >= 0 or sample.split == "train" or name in shared
        for config in bundle.configs
        for sample in samples
        for shared in (sample.data_set.same_images_as,)
        for name in _names(sample.data_set)
        if name in config["data_sets"]
    )


def _taught(bundle: Bundle, data_set: DataSet) -> bool:
    return data_set.name == bundle.adapted_to or any(
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
