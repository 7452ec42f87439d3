"""A model bundle on disk, as the worker reads it: ONNX files, a manifest and a model card."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from hemaline_shared.calibrated_average import averaged, calibrated
from hemaline_shared.errors import PermanentError
from hemaline_shared.first_look import answered_alone
from hemaline_shared.logits import slices, softmax
from hemaline_shared.model_manifest import (
    MANIFEST_FILE,
    NAME,
    Calibration,
    Confusion,
    FirstLook,
    Manifest,
    NetworkEntry,
    TaskEntry,
)
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION
from hemaline_shared.saved_bundle import save_bundle
from hemaline_train.bundles.answers import run_graph_once
from hemaline_train.bundles.calibrate import Logits
from hemaline_train.data.tasks import IMMATURE_CLASSES, Task
from hemaline_train.judging.blasts import BLASTS, OUTSIDE_DIFFERENTIAL


@dataclass(frozen=True, slots=True)
class ServedNetwork:
    """One ONNX graph of a bundle with its calibration, by task name."""

    name: str
    graph: bytes
    calibration: Mapping[str, Calibration]

    @property
    def file(self) -> str:
        """Return the graph's file name in the bundle."""
        return f"{self.name}.onnx"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle answers with: the calibrated average of its networks, task by task.

    Attributes:
        points: Task name -> the operating point of each label; nothing for an untrained bundle.
        confusions: Task name -> how often its served answers err, where that was measured.
        first_look: Which cells its first network answers alone; None where none.
    """

    bundle_id: str
    tasks: tuple[Task, ...]
    networks: tuple[ServedNetwork, ...]
    provenance: Mapping[str, Any]
    points: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    confusions: Mapping[str, Confusion] = field(default_factory=dict)
    first_look: FirstLook | None = None

    @property
    def configs(self) -> list[Mapping[str, Any]]:
        """Return the settings of the runs behind the networks, as they were recorded."""
        return [run["config"] for run in self.provenance.get("runs", ())]

    @property
    def adapted_to(self) -> str:
        """Return the data set whose cells its heads learned from last; empty where none were."""
        return str(self.provenance.get("adapted", {}).get("data_set", ""))

    def logits(self, pixels: NDArray[np.uint8], cache: Path) -> dict[str, Logits]:
        """Return network name -> logits, shape (n, labels of all tasks), for n crops as bytes.

        Args:
            pixels: Shape (n, CROP_PX, CROP_PX, 3).
            cache: Keeps the answers, as for `run_graph_once`.
        """
        return {one.name: run_graph_once(one.graph, pixels, cache) for one in self.networks}

    def probabilities(self, logits: Mapping[str, Logits], task: Task) -> dict[str, Logits]:
        """Return network name -> calibrated probabilities of one task, shape (n, labels)."""
        part = task_slices(self.tasks)[task.name]
        given = {network.name: logits[network.name][:, part] for network in self.networks}
        return calibrated(given, self._calibration(task))

    def average(self, logits: Mapping[str, Logits], task: Task) -> Logits:
        """Return what is served for one task, shape (n, labels): the networks' calibrated average.

        Where the bundle has a first look, its network's own answer of cells, and of fields, that it
        answers alone.
        """
        average = averaged(self.probabilities(logits, task), self._calibration(task))
        first = self.first_look
        if first is None or task.name not in first.temperatures:
            return average
        part = task_slices(self.tasks)[task.name]
        own = softmax(logits[first.network][:, part], first.temperatures[task.name])
        if task.view == "field":
            return own
        return np.where(self.answered_alone(logits)[:, None], own, average)

    def answered_alone(self, logits: Mapping[str, Logits]) -> NDArray[np.bool_]:
        """Return which pictures, taken for cells, the first network answers alone, shape (n,)."""
        first = self.first_look
        if first is None:
            return np.zeros(len(next(iter(logits.values()))), np.bool_)
        naming = next(task for task in self.tasks if task.view == "cell")
        named = logits[first.network][:, task_slices(self.tasks)[naming.name]]
        return answered_alone(first, naming.name, naming.labels, named)

    def _calibration(self, task: Task) -> dict[str, Calibration]:
        return {network.name: network.calibration[task.name] for network in self.networks}


def task_slices(tasks: Sequence[Task]) -> dict[str, slice]:
    """Return where each task's logits lie."""
    return slices({task.name: len(task.labels) for task in tasks})


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Write a bundle, whole or not at all; the folder must not be there yet.

    Args:
        folder: Its name is the bundle's id.
        bundle: With what stands behind its weights.

    Raises:
        PermanentError: `bundle-exists` or `bundle-name`.
    """
    check_new(folder)
    manifest = Manifest(
        bundle_id=bundle.bundle_id,
        trained=True,
        tasks=tuple(_task_entry(task, bundle) for task in bundle.tasks),
        networks=tuple(_network_entry(network) for network in bundle.networks),
        first_look=bundle.first_look,
        pixel_pipeline=PIXEL_PIPELINE_VERSION,
        provenance=dict(bundle.provenance),
    )
    save_bundle(folder, manifest, {network.file: network.graph for network in bundle.networks})


def write_confusion(folder: Path, task: str, confusion: Confusion) -> None:
    """Let a bundle's manifest say how often one of its tasks errs.

    The manifest's hash names the bundle, so from now on it is another one with the same networks.
    """
    _rewrite(folder, {task: confusion}, {})


def write_first_look(folder: Path, first: FirstLook, confusions: Mapping[str, Confusion]) -> None:
    """Let a bundle's manifest say which cells one network answers alone, and how often that errs.

    The bundle is another one from now on, as by `write_confusion`.
    """
    _rewrite(folder, confusions, {"first_look": first})


def _rewrite(folder: Path, confusions: Mapping[str, Confusion], changes: dict[str, Any]) -> None:
    file = folder / MANIFEST_FILE
    manifest = Manifest.model_validate_json(file.read_text(encoding="utf-8"))
    tasks = tuple(
        entry.model_copy(update={"confusion": confusions.get(entry.name, entry.confusion)})
        for entry in manifest.tasks
    )
    told = Manifest.model_validate(manifest.model_dump() | {"tasks": tasks} | changes)
    draft = file.with_suffix(".draft")
    draft.write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def _task_entry(task: Task, bundle: Bundle) -> TaskEntry:
    return TaskEntry(
        name=task.name,
        view=task.view,
        labels=task.labels,
        blasts=tuple(label for label in BLASTS if label in task.labels),
        outside_differential=tuple(x for x in OUTSIDE_DIFFERENTIAL if x in task.labels),
        asked_of=IMMATURE_CLASSES if task.asked_of_immature_cells else (),
        operating_points=dict(zip(task.labels, bundle.points[task.name], strict=True)),
        confusion=bundle.confusions.get(task.name),
    )


def _network_entry(network: ServedNetwork) -> NetworkEntry:
    return NetworkEntry(
        name=network.name,
        file=network.file,
        sha256=hashlib.sha256(network.graph).hexdigest(),
        calibration=dict(network.calibration),
    )


def check_new(folder: Path) -> None:
    """Refuse a folder that no new bundle can have.

    Raises:
        PermanentError: `bundle-exists`: there is something already; `bundle-name`: the name cannot
            be a bundle's id.
    """
    if folder.exists():
        raise PermanentError("bundle-exists", f"{folder} is there already: choose another name.")
    if not NAME.fullmatch(folder.name):
        raise PermanentError(
            "bundle-name",
            f"{folder.name!r} cannot be a bundle's name: letters, digits, dots, dashes and "
            "underscores, 63 at most, a letter or digit first.",
        )


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check that its files are those that its manifest names.

    Raises:
        PermanentError: `bundle-missing`, `bundle-manifest`, `bundle-hash`, or
            `bundle-pixel-pipeline`: it was trained on pixels of another pipeline.
    """
    file = folder / MANIFEST_FILE
    try:
        manifest = Manifest.model_validate_json(file.read_text(encoding="utf-8"))
        networks = tuple(_read_network(folder, entry, manifest) for entry in manifest.networks)
    except OSError as error:
        raise PermanentError("bundle-missing", f"{folder} is no bundle: {error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PermanentError(
            "bundle-manifest", f"{file} is wrong: {where}: {first['msg']}."
        ) from error
    if manifest.pixel_pipeline != PIXEL_PIPELINE_VERSION:
        raise PermanentError(
            "bundle-pixel-pipeline",
            f"{folder} was trained on pixels of pipeline {manifest.pixel_pipeline}; this version "
            f"makes those of {PIXEL_PIPELINE_VERSION}.",
        )
    tasks = tuple(_task(entry) for entry in manifest.tasks)
    points = {
        entry.name: tuple(entry.operating_points[label] for label in entry.labels)
        for entry in manifest.tasks
        if entry.operating_points
    }
    confusions = {entry.name: entry.confusion for entry in manifest.tasks if entry.confusion}
    return Bundle(
        manifest.bundle_id,
        tasks,
        networks,
        manifest.provenance,
        points,
        confusions,
        manifest.first_look,
    )


def _task(entry: TaskEntry) -> Task:
    return Task(entry.name, entry.view, entry.labels, bool(entry.asked_of))


def _read_network(folder: Path, entry: NetworkEntry, manifest: Manifest) -> ServedNetwork:
    graph = (folder / entry.file).read_bytes()
    if hashlib.sha256(graph).hexdigest() != entry.sha256:
        raise PermanentError(
            "bundle-hash", f"{folder / entry.file} is not the file that the manifest names."
        )
    calibration = {task.name: entry.calibrated(task.name) for task in manifest.tasks}
    return ServedNetwork(entry.name, graph, calibration)
