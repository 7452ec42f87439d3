"""One training run's settings: a flat TOML file, checked before anything else happens."""

import re
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import NAME, UNCLASSIFIED, View
from hemaline_train.data.catalogue import KNOWN, known_data_set
from hemaline_train.data.data_set import DataSet
from hemaline_train.data.lab_data import lab_data_set
from hemaline_train.data.tasks import TASKS, Task


class RunConfig(BaseModel):
    """Everything that decides a run's result; the data's place and the device do not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    architecture: Literal["resnet34", "densenet121", "efficientnet-lite0", "efficientnet-lite2"]
    tasks: dict[str, float] = Field(min_length=1)
    """A head for each task -> its part of the loss."""
    data_sets: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1)
    """Data set -> its part of the draws; they are scaled to a sum of 1."""
    own_task: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?$")
    """The name of a task that only this lab has; data sets of no catalogue answer it."""
    own_labels: tuple[str, ...] = Field(default=(), max_length=64)
    own_view: View = "cell"
    own_um_per_px: float | None = Field(default=None, gt=0)
    """The optics of the lab's own images; without it, judged by each image's red cells."""

    seed: int = 0
    reviewed: bool = True
    """Whether what people found of single labels counts (`data/label_review.tsv`)."""
    fold: int = Field(default=-1, ge=-1)
    """-1 judges on the manifests' val part; otherwise on this one of `folds` parts, by group."""
    folds: int = Field(default=5, ge=2)

    input_px: int = Field(default=112, ge=32, le=224)
    epochs: int = Field(default=30, ge=1)
    """The length of the learning rate's way up and down."""
    stop_after: int = Field(default=0, ge=0)
    """The epoch at which the run ends before that, or 0: where labels are noisy, what is learned
    last may be the noise."""
    draws_per_epoch: int = Field(default=2048, ge=2)
    batch_size: int = Field(default=32, ge=2)
    balance: float = Field(default=0.8, ge=0, le=1)
    """0 draws labels as often as they occur, 1 equally often."""

    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warm_up: float = Field(default=0.2, gt=0, lt=1)
    """The part of the steps in which the learning rate rises."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    """Of the moving average of the weights, for each step; the average is what is kept."""

    initial_weights: str = ""
    """Within the directory of weights: a file of ImageNet weights of an EfficientNet-Lite, or a
    bundle's ONNX graph of this architecture, beside its manifest."""
    learns: Literal["all", "last-stage"] = "all"
    """`last-stage`: all before a network's last stage stays as it begins, and looks at each crop
    once; an epoch is one more pass over the same changed crops."""
    starts_from: str = ""
    """The name of a finished run of this architecture and these tasks, whose weights are taken."""
    teachers: tuple[str, ...] = ()
    """The names of finished runs whose mean answer is learned as well."""
    teacher_share: float = Field(default=0.6, ge=0, le=1)
    """How much of the loss the teacher's labels take from the manifest's."""
    teacher_temperature: float = Field(default=2.0, gt=0)
    feature_weight: float = Field(default=1.0, ge=0)
    """Of the distance between the teacher's pooled features and a linear view of ours."""

    augment_scale: float = Field(default=0.15, ge=0)
    augment_shift: float = Field(default=0.06, ge=0)
    augment_stain: float = Field(default=0.25, ge=0)
    augment_light: float = Field(default=0.12, ge=0)
    augment_blur: float = Field(default=1.5, ge=0)
    augment_noise: float = Field(default=0.03, ge=0)
    augment_cutout: float = Field(default=0.35, ge=0, le=1)
    augment_surround: float = Field(default=0.0, ge=0, le=1)
    """The share of crops whose rim is laid over with light background, as a tight crop's is."""
    augment_exposure: float = Field(default=0.0, ge=0)
    """How far optical density and glass may change, as another exposure or stain does."""
    augment_blend: float = Field(default=0.0, ge=0, le=1)
    """The share of pictures that are laid over another of the same kind, labels and all."""

    @model_validator(mode="after")
    def _knows_its_tasks(self) -> "RunConfig":
        if bool(self.own_task) != (len(self.own_labels) >= 2):
            raise ValueError("own_task and two or more own_labels go together")
        known = {*TASKS, *filter(None, [self.own_task])}
        if not set(self.tasks) <= known:
            raise ValueError(f"tasks: there are only {', '.join(sorted(known))}")
        return self

    @model_validator(mode="after")
    def _looks_once(self) -> "RunConfig":
        if self.learns == "last-stage" and self.augment_blend:
            raise ValueError("learns: the last stage learns from whole crops: no augment_blend")
        return self

    @model_validator(mode="after")
    def _can_be_served(self) -> "RunConfig":
        """Refuse now what a bundle's manifest would refuse after all training."""
        if self.own_task in TASKS:
            raise ValueError(
                f"own_task: {self.own_task} is a known task with labels of its own; rename it, "
                f"such as to our-{self.own_task}"
            )
        for label in self.own_labels:
            _check_own_label(label, self.own_labels)
        return self

    def asked(self) -> tuple[Task, ...]:
        """Return the tasks in the order of the heads."""
        own = Task(self.own_task, self.own_view, self.own_labels)
        return tuple(own if name == self.own_task else TASKS[name] for name in self.tasks)

    @property
    def last_epoch(self) -> int:
        """Return the epoch at which the run is finished."""
        return min(self.stop_after or self.epochs, self.epochs)

    def described(self, name: str) -> DataSet:
        """Return what is known of one of the run's data sets.

        Raises:
            PermanentError: `unknown-data-set`: it is in no catalogue, and there is no own task.
        """
        if name in KNOWN or not self.own_task:
            return known_data_set(name)
        own = Task(self.own_task, self.own_view, self.own_labels)
        return lab_data_set(name, own, self.own_um_per_px)

    def without(self, laboratory: str, data_sets: Collection[str]) -> "RunConfig":
        """Return the same run without a laboratory's data sets, under a name of its own.

        Tasks that nothing else answers go too. Its teachers and the run that it starts from are
        those without the same laboratory: any other has trained on what judges here.

        Raises:
            PermanentError: `config`: no data set is left, or it starts from a bundle.
        """
        self._refuse_bundle(f"{laboratory} is to judge alone")
        rest = {name: part for name, part in self.data_sets.items() if name not in data_sets}
        if not rest:
            raise PermanentError("config", f"{self.name} has no data set without {laboratory}.")
        answered = {task.name for name in rest for task in self.described(name).tasks}
        return self.model_copy(
            update={
                "name": _without(self.name, laboratory),
                "data_sets": rest,
                "tasks": {name: part for name, part in self.tasks.items() if name in answered},
                "starts_from": _without(self.starts_from, laboratory),
                "teachers": tuple(_without(name, laboratory) for name in self.teachers),
            }
        )

    def for_fold(self, fold: int) -> "RunConfig":
        """Return the same run, judged by one part of the groups, under a name of its own.

        Its teachers and the run that it starts from are those of the same part: any other has
        trained on what judges here.

        Raises:
            PermanentError: `config`: there is no such part, or it starts from a bundle.
        """
        self._refuse_bundle("each part is to judge once")
        if not 0 <= fold < self.folds:
            raise PermanentError(
                "config", f"{self.name} has the parts 0 to {self.folds - 1}, and no part {fold}."
            )
        return self.model_copy(
            update={
                "fold": fold,
                "name": _in_fold(self.name, fold),
                "starts_from": _in_fold(self.starts_from, fold),
                "teachers": tuple(_in_fold(name, fold) for name in self.teachers),
            }
        )

    def _refuse_bundle(self, purpose: str) -> None:
        if self.initial_weights.endswith(".onnx"):
            raise PermanentError(
                "config",
                f"{self.name} starts from {self.initial_weights}, which may have trained on what "
                f"judges here: {purpose}. Start from ImageNet's weights or from none.",
            )


def _check_own_label(label: str, labels: tuple[str, ...]) -> None:
    if not NAME.fullmatch(label):
        fitting = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("._-")[:63] or "class-1"
        raise ValueError(
            f"own_labels: a label has at most 63 letters of A-Z and a-z, digits, '.', '_' and '-', "
            f"and begins with a letter or a digit; rename {label!r}, such as to {fitting!r}, here "
            "and in the data sets' manifest.tsv"
        )
    if labels.count(label) > 1:
        raise ValueError(f"own_labels: {label!r} stands there twice; rename one, or take it out")
    if label == UNCLASSIFIED:
        raise ValueError(
            f"own_labels: {label!r} is what an answer below its operating point is called; rename "
            "it here and in the data sets' manifest.tsv"
        )


def _in_fold(name: str, fold: int) -> str:
    return name and f"{name}.fold-{fold}"


def _without(name: str, laboratory: str) -> str:
    return name and f"{name}.without-{laboratory}"
