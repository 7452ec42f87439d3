"""Small real bundles: a graph of one convolution, quick to start and to run."""

import hashlib
from pathlib import Path
from typing import Any

import onnx

from hemaline_shared.model_manifest import FirstLook, Manifest, NetworkEntry, TaskEntry
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION
from hemaline_shared.saved_bundle import save_bundle
from parts.graphs import GraphBuilder

LABELS = ("blast", "neutrophil", "lymphocyte", "monocyte", "smudge")
_TWO = (("first", 1), ("second", 2))
_CELLS: dict[str, Any] = {
    "name": "cell-class",
    "labels": ("blast", "lymphocyte", "smudge"),
    "blasts": ("blast",),
    "outside_differential": ("smudge",),
    "operating_points": {"blast": 0.0, "lymphocyte": 0.0, "smudge": 0.0},
}
EVERY_TASK = (
    TaskEntry(**_CELLS),
    TaskEntry(
        name="all-subtype",
        view="field",
        labels=("benign", "pro-b"),
        operating_points={"benign": 0.0, "pro-b": 0.0},
    ),
    TaskEntry(
        name="apl",
        labels=("AML-nonAPL", "APL"),
        asked_of=("blast",),
        operating_points={"AML-nonAPL": 0.5, "APL": 0.5},
    ),
)
"""Cells and fields, in an order in which no task lies where it would by accident."""


FIRST_LOOK = FirstLook(
    network="first",
    temperatures={"cell-class": 1.0, "apl": 1.0},
    enough={"lymphocyte": 0.4, "smudge": 0.4},
    judged_on="drawn cells",
)
"""Of `EVERY_TASK`, answered by the networks of `tiny_trained`."""

FIELDS_ALONE = FIRST_LOOK.model_copy(
    update={"temperatures": {"cell-class": 1.0, "apl": 1.0, "all-subtype": 2.0}}
)
"""The same, and of whole fields the first network alone is asked."""


def tiny_network(classes: int = len(LABELS), seed: int = 1) -> onnx.ModelProto:
    graph = GraphBuilder("tiny", seed)
    x = graph.max_pool(graph.conv(graph.normalised_crops(), 4, 3, stride=2))
    return graph.finish(graph.relu(x), classes)


def tiny_manifest(files: dict[str, bytes], **changes: Any) -> Manifest:
    """A bundle that says it is trained, so that the tests see labels and probabilities.

    Changes of a task's fields go to its one task.
    """
    task = {name: changes.pop(name) for name in TaskEntry.model_fields if name in changes}
    values: dict[str, Any] = {
        "bundle_id": "tiny-1",
        "trained": True,
        "tasks": (TaskEntry(**{**_CELLS, **task}),),
        "networks": tuple(
            NetworkEntry(
                name=file.removesuffix(".onnx"),
                file=file,
                sha256=hashlib.sha256(content).hexdigest(),
            )
            for file, content in files.items()
        ),
        "pixel_pipeline": PIXEL_PIPELINE_VERSION,
    }
    return Manifest(**{**values, **changes})


def tiny_trained(
    path: Path, tasks: tuple[TaskEntry, ...] | None = None, first_look: FirstLook | None = None
) -> Path:
    """Two networks that answer `tasks`, or name cells only."""
    changes: dict[str, Any] = {"tasks": tasks} if tasks else {}
    outputs = tiny_manifest({"net.onnx": b""}, **changes).outputs
    files = {f"{name}.onnx": tiny_network(outputs, seed).SerializeToString() for name, seed in _TWO}
    save_bundle(path, tiny_manifest(files, first_look=first_look, **changes), files)
    return path


def tiny_untrained(path: Path) -> Path:
    """As `tiny_trained`, but it says that it is untrained, and has no operating point."""
    files = {f"{name}.onnx": tiny_network(seed=seed).SerializeToString() for name, seed in _TWO}
    manifest = tiny_manifest(
        files, bundle_id="untrained-1", trained=False, labels=LABELS, operating_points={}
    )
    save_bundle(path, manifest, files)
    return path
