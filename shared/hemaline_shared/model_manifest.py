"""What `manifest.json` of a model bundle says; `docs/model-bundle.md` shows one."""

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hemaline_shared.logits import slices
from hemaline_shared.pixels.crops import CANONICAL_UM_PER_PX, CROP_PX

MANIFEST_FILE = "manifest.json"
MANIFEST_VERSION = 2
UNCLASSIFIED = "unclassified"

View: TypeAlias = Literal["cell", "field"]
"""What a task looks at: one cell's crop, or a whole field squeezed into a crop's size."""

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
"""What a bundle, a task, a label or a network may be called."""

_MOST_TASKS_OF_A_FIRST_LOOK = 15
"""The sixteenth bit of stored answers then says that one network answered alone."""

_Name: TypeAlias = Annotated[str, Field(pattern=NAME.pattern)]
_Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Confusion(_Part):
    """How a task's served answers fared on samples of known truth that training never saw.

    The counts are few and come from few patients; whoever uses them must carry both on.
    """

    judged_on: str = Field(min_length=1, max_length=200)
    """Which samples: a data set and its split."""
    counts: dict[_Name, dict[_Name, Annotated[int, Field(ge=1)]]]
    """Truth -> answer, which may be `unclassified` -> how many samples; absent: none."""
    patients: int = Field(ge=1)
    """How many patients (or slides, or clusters) the samples come from."""
    correlation: float = Field(ge=0, le=0.99)
    """Intraclass correlation of calling a cell a blast, among one patient's cells of one class.
    0: as if each cell came from a patient of its own."""
    design_effect: float = Field(ge=1)
    """How many of these cells, which share patients, tell as much as one independent cell."""


class TaskEntry(_Part):
    """One question that every network of the bundle answers, and what its labels mean."""

    name: _Name
    view: View = "cell"
    labels: tuple[_Name, ...] = Field(min_length=2, max_length=64)
    """In the order of the task's logits."""
    blasts: tuple[_Name, ...] = ()
    """The labels that count as blasts."""
    outside_differential: tuple[_Name, ...] = ()
    """Labels that are no intact leukocyte: counted beside the differential, not in it."""
    asked_of: tuple[_Name, ...] = ()
    """The labels of the bundle's first cell task that the question makes sense for; empty: all."""
    operating_points: dict[_Name, _Share] = Field(default_factory=dict)
    """The probability below which an answer is `unclassified`."""
    confusion: Confusion | None = None
    """How often it errs; where nobody measured, its errors are taken for unknown."""

    @model_validator(mode="after")
    def _is_consistent(self) -> "TaskEntry":
        if len(set(self.labels)) < len(self.labels) or UNCLASSIFIED in self.labels:
            raise ValueError(f"labels must differ, and none may be called {UNCLASSIFIED}")
        unknown = {*self.blasts, *self.outside_differential} - set(self.labels)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not among the labels")
        if self.confusion:
            _check_confusion(self.confusion, self.labels)
        return self


class Calibration(_Part):
    """What makes one network's answers to one task mean what they say."""

    temperature: Annotated[float, Field(gt=0)] = 1.0
    """What the logits are divided by before the softmax."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """How much the network counts in the average, against the other networks' weights."""


class NetworkEntry(_Part):
    """One network of the bundle: its file, what the file must hash to, and its calibration."""

    name: _Name
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    calibration: dict[_Name, Calibration] = Field(default_factory=dict)
    """By task; temperature and weight are 1 where one is not named."""

    def calibrated(self, task: str) -> Calibration:
        """Return how the network's answers to a task are read."""
        return self.calibration.get(task, Calibration())


class FirstLook(_Part):
    """Which network is asked first, and which of its answers stand without the other networks'."""

    network: _Name
    temperatures: dict[_Name, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    """Task -> what the network's logits are divided by where it answers alone: in an average a
    network may be surer than it is right. Every task that looks at cells has one; where every task
    that looks at fields has one as well, the network answers alone for each field."""
    enough: dict[_Name, _Share] = Field(min_length=1)
    """Label of the task that names cells -> the probability from which on its answer stands. Of a
    cell that looks most like a label that is not named, all networks are asked."""
    judged_on: str = Field(min_length=1, max_length=200)
    """Which samples chose the probabilities."""


class InputSpec(_Part):
    """What the networks take: RGB bytes, shape (n, crop_px, crop_px, 3), at one scale."""

    layout: Literal["nhwc-uint8-rgb"] = "nhwc-uint8-rgb"
    crop_px: int = CROP_PX
    um_per_px: float = CANONICAL_UM_PER_PX

    @model_validator(mode="after")
    def _is_what_the_pipeline_cuts(self) -> "InputSpec":
        if (self.crop_px, self.um_per_px) != (CROP_PX, CANONICAL_UM_PER_PX):
            raise ValueError(
                f"crops are {CROP_PX} px at {CANONICAL_UM_PER_PX} µm/px, "
                f"not {self.crop_px} px at {self.um_per_px}"
            )
        return self


class Manifest(_Part):
    """A bundle's name, questions, networks and thresholds, and where they come from.

    An untrained bundle has no operating point: nothing it says may look as if it were learned.
    """

    schema_version: Literal[2] = 2
    bundle_id: _Name
    trained: bool
    tasks: tuple[TaskEntry, ...] = Field(min_length=1, max_length=16)
    """In the order of the logits. The first cell task names the cells."""
    networks: tuple[NetworkEntry, ...] = Field(min_length=1, max_length=8)
    first_look: FirstLook | None = None
    """Where it is absent, every network is asked of every cell."""
    input: InputSpec = InputSpec()
    pixel_pipeline: str
    provenance: dict[str, Any] = Field(default_factory=dict)
    research_use_only: Literal[True] = True

    @property
    def outputs(self) -> int:
        """How many logits a network gives for each picture: those of all tasks."""
        return sum(len(task.labels) for task in self.tasks)

    @property
    def cell_task(self) -> TaskEntry | None:
        """The task that names cells; None where the bundle looks at whole fields only."""
        return next((task for task in self.tasks if task.view == "cell"), None)

    @property
    def fields_alone(self) -> bool:
        """Whether of whole fields its first network alone is asked."""
        fields = {task.name for task in self.tasks if task.view == "field"}
        return self.first_look is not None and fields <= self.first_look.temperatures.keys()

    def slices(self) -> dict[str, slice]:
        """Return where each task's logits lie."""
        return slices({task.name: len(task.labels) for task in self.tasks})

    def alone(self) -> "Manifest":
        """Return this bundle as it is for a cell or field that its first network answers alone."""
        first = self.first_look
        assert first is not None
        entry = next(one for one in self.networks if one.name == first.network)
        calibration = {
            task: Calibration(temperature=temperature)
            for task, temperature in first.temperatures.items()
        }
        alone = entry.model_copy(update={"calibration": calibration})
        return self.model_copy(update={"networks": (alone,), "first_look": None})

    @model_validator(mode="after")
    def _is_consistent(self) -> "Manifest":
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError("tasks must have different names")
        if len({network.name for network in self.networks}) < len(self.networks):
            raise ValueError("networks must have different names")
        if len({network.file for network in self.networks}) < len(self.networks):
            raise ValueError("networks must have different files")
        for network in self.networks:
            if unknown := set(network.calibration) - set(names):
                raise ValueError(f"{network.name}: no task {', '.join(sorted(unknown))}")
        for task in self.tasks:
            _check_weights(task, self.networks)
            _check_points(task, trained=self.trained)
            cells = self.cell_task
            if unknown := set(task.asked_of) - set(cells.labels if cells else ()):
                raise ValueError(f"{task.name}: no cell is called {', '.join(sorted(unknown))}")
        return self

    @model_validator(mode="after")
    def _has_a_sound_first_look(self) -> "Manifest":
        if self.first_look:
            _check_first_look(self.first_look, self)
        return self


def _check_confusion(confusion: Confusion, labels: tuple[str, ...]) -> None:
    answers = {answer for row in confusion.counts.values() for answer in row}
    if unknown := {*confusion.counts, *(answers - {UNCLASSIFIED})} - set(labels):
        raise ValueError(f"confusion: {', '.join(sorted(unknown))}: not among the labels")


def _check_first_look(first: FirstLook, manifest: Manifest) -> None:
    naming = manifest.cell_task
    if naming is None or not manifest.trained:
        raise ValueError("first_look: only a trained bundle that names cells can have one")
    if first.network not in {network.name for network in manifest.networks}:
        raise ValueError(f"first_look: there is no network {first.network}")
    if len(manifest.tasks) > _MOST_TASKS_OF_A_FIRST_LOOK:
        raise ValueError(f"first_look: more than {_MOST_TASKS_OF_A_FIRST_LOOK} tasks")
    cells = {task.name for task in manifest.tasks if task.view == "cell"}
    if set(first.temperatures) not in (cells, {task.name for task in manifest.tasks}):
        raise ValueError(
            "first_look: each task that looks at cells has a temperature, and each that looks at "
            "fields or none of them"
        )
    _check_enough(first, naming, urgent={*naming.blasts, *_asked_more(manifest)})


def _check_enough(first: FirstLook, naming: TaskEntry, urgent: set[str]) -> None:
    if unknown := set(first.enough) - set(naming.labels):
        raise ValueError(f"first_look: no cell is called {', '.join(sorted(unknown))}")
    if found := set(first.enough) & urgent:
        raise ValueError(
            f"first_look: {', '.join(sorted(found))}: of what may raise a flag every network is "
            "asked"
        )
    for label, least in first.enough.items():
        if least < naming.operating_points[label]:
            raise ValueError(f"first_look: {label} would be enough below its operating point")


def _asked_more(manifest: Manifest) -> set[str]:
    """Return the labels of cells that a further question, as that of APL, is about."""
    return {label for task in manifest.tasks for label in task.asked_of}


def _check_weights(task: TaskEntry, networks: tuple[NetworkEntry, ...]) -> None:
    if not any(network.calibrated(task.name).weight for network in networks):
        raise ValueError(f"{task.name}: at least one network must have a weight")


def _check_points(task: TaskEntry, *, trained: bool) -> None:
    if set(task.operating_points) != (set(task.labels) if trained else set()):
        raise ValueError(
            f"{task.name}: a trained bundle has an operating point for each label, an untrained "
            "one has none"
        )
