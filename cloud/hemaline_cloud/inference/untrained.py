"""A bundle of the right shape with random weights: it moves the pipeline, and claims nothing."""

import hashlib
from pathlib import Path

import onnx

from hemaline_cloud.inference.architectures import densenet121, resnet34
from hemaline_shared.model_manifest import MANIFEST_FILE, Manifest, NetworkEntry, TaskEntry
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION
from hemaline_shared.saved_bundle import save_bundle

LABELS = (
    "blast",
    "immature-granulocyte",
    "neutrophil",
    "lymphocyte",
    "monocyte",
    "eosinophil",
    "basophil",
    "erythroblast",
    "smudge",
)
"""Placeholders: the classes that the training data support, merged; no cell is called by one."""

_SEEDS = {"resnet34": 34, "densenet121": 121}


def ensure_untrained_bundle(path: Path) -> None:
    """Build the untrained bundle in `path` unless it is there; the same bytes every time."""
    if (path / MANIFEST_FILE).exists():
        return
    classes = len(LABELS)
    save_untrained(
        path,
        {
            "resnet34": resnet34(classes, _SEEDS["resnet34"]),
            "densenet121": densenet121(classes, _SEEDS["densenet121"]),
        },
    )


def save_untrained(path: Path, networks: dict[str, onnx.ModelProto]) -> None:
    """Write `networks` as an untrained bundle with the placeholder labels."""
    files = {f"{name}.onnx": model.SerializeToString() for name, model in networks.items()}
    entries = tuple(
        NetworkEntry(name=name, file=file, sha256=hashlib.sha256(content).hexdigest())
        for name, (file, content) in zip(networks, files.items(), strict=True)
    )
    manifest = Manifest(
        bundle_id="untrained-1",
        trained=False,
        tasks=(
            TaskEntry(
                name="cell-class",
                labels=LABELS,
                blasts=("blast",),
                outside_differential=("erythroblast", "smudge"),
            ),
        ),
        networks=entries,
        pixel_pipeline=PIXEL_PIPELINE_VERSION,
        provenance={"weights": "random; no image stands behind them"},
    )
    save_bundle(path, manifest, files)
