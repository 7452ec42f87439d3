"""A model bundle on disk, as the worker reads it: ONNX files, a manifest and a model card."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION
from hemaline_train.calibrate import softmax
from hemaline_train.tasks import CELL_CLASS, Task

MANIFEST_FILE = "manifest.json"
CROPS, LOGITS, MAPS = "crops", "logits", "activation_maps"
"""The names of a serving graph's input and outputs."""

_BLASTS = ("blast", "promonocyte")
_OUTSIDE_DIFFERENTIAL = ("erythroblast", "smudge")


@dataclass(frozen=True, slots=True)
class ServedNetwork:
    """One ONNX graph of a bundle with its calibration."""

    name: str
    graph: bytes
    temperature: float

    @property
    def file(self) -> str:
        """Return the graph's file name in the bundle."""
        return f"{self.name}.onnx"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle answers with: the calibrated average of its networks."""

    bundle_id: str
    task: Task
    networks: tuple[ServedNetwork, ...]

    def logits(self, pixels: NDArray[np.uint8], batch: int = 32) -> dict[str, NDArray[np.float64]]:
        """Return network name -> logits, shape (n, labels), for n crops as bytes."""
        return {network.name: run_graph(network.graph, pixels, batch) for network in self.networks}

    def probabilities(self, logits: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the networks' calibrated average, shape (n, labels)."""
        parts = [softmax(logits[one.name] / one.temperature) for one in self.networks]
        return np.asarray(np.mean(parts, axis=0), np.float64)


def run_graph(graph: bytes, pixels: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float64]:
    """Return a serving graph's logits for crops of shape (n, side, side, 3), on the CPU."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    parts = [
        session.run([LOGITS], {CROPS: np.ascontiguousarray(pixels[start : start + batch])})[0]
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts).astype(np.float64)


def write_bundle(
    folder: Path,
    task: Task,
    networks: Sequence[ServedNetwork],
    points: Sequence[float],
    provenance: dict[str, Any],
) -> None:
    """Write a bundle; the folder must not be there yet.

    Args:
        folder: Its name becomes the bundle's id.
        task: Gives the labels.
        networks: At least one.
        points: The operating point of each label.
        provenance: What stands behind the weights.

    Raises:
        PermanentError: `bundle-exists`.
    """
    refuse_existing(folder)
    folder.mkdir(parents=True)
    for network in networks:
        (folder / network.file).write_bytes(network.graph)
    manifest = {
        "schema_version": 1,
        "bundle_id": folder.name,
        # The worker calls every question about single cells by one name.
        "task": CELL_CLASS.name if task.view == "cell" else task.name,
        "trained": True,
        "labels": list(task.labels),
        "blasts": [label for label in _BLASTS if label in task.labels],
        "outside_differential": [x for x in _OUTSIDE_DIFFERENTIAL if x in task.labels],
        "networks": [
            {
                "name": network.name,
                "file": network.file,
                "sha256": hashlib.sha256(network.graph).hexdigest(),
                "temperature": round(network.temperature, 4),
            }
            for network in networks
        ],
        "pixel_pipeline": PIXEL_PIPELINE_VERSION,
        "operating_points": dict(zip(task.labels, points, strict=True)),
        "provenance": {"task": task.name, "view": task.view, **provenance},
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def refuse_existing(folder: Path) -> None:
    """Raise PermanentError `bundle-exists` if there is something already."""
    if folder.exists():
        raise PermanentError("bundle-exists", f"{folder} is there already: choose another name.")


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check that its files are those that its manifest names.

    Raises:
        PermanentError: `bundle-missing`, `bundle-manifest` or `bundle-hash`.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        networks = tuple(_network(folder, entry) for entry in manifest["networks"])
        origin = manifest["provenance"]
        task = Task(origin["task"], origin["view"], tuple(manifest["labels"]))
        return Bundle(manifest["bundle_id"], task, networks)
    except OSError as error:
        raise PermanentError("bundle-missing", f"{folder} is no bundle: {error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError(
            "bundle-manifest", f"{folder / MANIFEST_FILE} is wrong: {error!r}."
        ) from error


def _network(folder: Path, entry: dict[str, Any]) -> ServedNetwork:
    graph = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(graph).hexdigest() != entry["sha256"]:
        raise PermanentError(
            "bundle-hash", f"{folder / entry['file']} is not the file that the manifest names."
        )
    return ServedNetwork(entry["name"], graph, float(entry["temperature"]))
