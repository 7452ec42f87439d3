"""Small real bundles: a graph of one convolution, quick to start and to run."""

import hashlib
from pathlib import Path

import onnx

from hemaline_cloud.inference.bundle import save_bundle
from hemaline_cloud.inference.graph import GraphBuilder
from hemaline_cloud.inference.manifest import Manifest, NetworkEntry
from hemaline_cloud.inference.untrained import LABELS, save_untrained
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION


def tiny_network(classes: int = len(LABELS), seed: int = 1) -> onnx.ModelProto:
    graph = GraphBuilder("tiny", seed)
    x = graph.max_pool(graph.conv(graph.normalised_crops(), 4, 3, stride=2))
    return graph.finish(graph.relu(x), classes)


def tiny_manifest(files: dict[str, bytes], **changes: object) -> Manifest:
    """A bundle that says it is trained, so that the tests see labels and probabilities."""
    values: dict[str, object] = {
        "bundle_id": "tiny-1",
        "trained": True,
        "labels": ("blast", "lymphocyte", "smudge"),
        "blasts": ("blast",),
        "outside_differential": ("smudge",),
        "networks": tuple(
            NetworkEntry(
                name=file.removesuffix(".onnx"),
                file=file,
                sha256=hashlib.sha256(content).hexdigest(),
            )
            for file, content in files.items()
        ),
        "pixel_pipeline": PIXEL_PIPELINE_VERSION,
        "operating_points": {"blast": 0.0, "lymphocyte": 0.0, "smudge": 0.0},
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


def tiny_trained(path: Path) -> Path:
    files = {f"{name}.onnx": tiny_network(3, seed).SerializeToString() for name, seed in _TWO}
    save_bundle(path, tiny_manifest(files), files)
    return path


def tiny_untrained(path: Path) -> Path:
    save_untrained(path, {name: tiny_network(seed=seed) for name, seed in _TWO})
    return path


_TWO = (("first", 1), ("second", 2))
