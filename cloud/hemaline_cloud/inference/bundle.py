"""A model bundle: a directory of ONNX files with a manifest, verified whole before it is used."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto
from pydantic import ValidationError

from hemaline_cloud.database.results import BundleRecord
from hemaline_cloud.inference.graph import INPUT_NAME, LOGITS_NAME, MAPS_NAME
from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import (
    MANIFEST_FILE,
    MANIFEST_VERSION,
    Manifest,
    NetworkEntry,
)
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION


@dataclass(frozen=True, slots=True)
class ModelBundle:
    """A bundle that was verified: what it says of itself, and its graphs in memory.

    Attributes:
        sha256: The bundle's identity: the hash of its manifest, which holds each file's hash.
        graphs: Network name -> the very bytes that were verified, so that no later change on
            disk can slip in.
    """

    manifest: Manifest
    sha256: str
    graphs: Mapping[str, bytes]


def load_bundle(path: Path) -> ModelBundle:
    """Read and verify a bundle.

    Raises:
        PermanentError: `bundle-missing`, `bundle-manifest`, `bundle-version`,
            `bundle-pixel-pipeline`, `bundle-path`, `bundle-hash`, `bundle-external-data` or
            `bundle-graph`, each with a sentence that names the file.
    """
    raw = _read(path / MANIFEST_FILE)
    manifest = _manifest(path / MANIFEST_FILE, raw)
    if manifest.pixel_pipeline != PIXEL_PIPELINE_VERSION:
        raise PermanentError(
            "bundle-pixel-pipeline",
            f"The bundle {path} was made for pixel pipeline {manifest.pixel_pipeline}, this "
            f"software cuts crops with {PIXEL_PIPELINE_VERSION}. Install the bundle that belongs "
            "to this version, or the version that belongs to the bundle.",
        )
    graphs = {entry.name: _graph(path, entry, manifest.outputs) for entry in manifest.networks}
    return ModelBundle(manifest, hashlib.sha256(raw).hexdigest(), graphs)


def bundle_record(bundle: ModelBundle) -> BundleRecord:
    """Return a bundle as the database knows it."""
    manifest = bundle.manifest
    return BundleRecord(
        bundle.sha256, manifest.bundle_id, manifest.trained, manifest.model_dump(mode="json")
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PermanentError(
            "bundle-missing",
            f"{file} cannot be read ({error.strerror}). HEMALINE_BUNDLE must name a directory "
            f"with {MANIFEST_FILE} and the ONNX files that it lists.",
        ) from error


def _manifest(file: Path, raw: bytes) -> Manifest:
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise PermanentError("bundle-manifest", f"{file} is not JSON: {error}.") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != MANIFEST_VERSION:
        raise PermanentError(
            "bundle-version",
            f"{file} has schema version {version!r}; this software reads {MANIFEST_VERSION}.",
        )
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems[:5])
        raise PermanentError("bundle-manifest", f"{file} is wrong: {text}.") from error


def _graph(path: Path, entry: NetworkEntry, outputs: int) -> bytes:
    file = path / entry.file
    if file.is_symlink():
        raise PermanentError(
            "bundle-path", f"{file} is a link. A bundle holds its files itself; copy it in."
        )
    content = _read(file)
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry.sha256:
        raise PermanentError(
            "bundle-hash",
            f"{file} has SHA-256 {digest[:12]}…, its manifest says {entry.sha256[:12]}…: "
            "the file was changed or damaged. Copy the bundle again.",
        )
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own, of which onnx passes on whatever comes
        raise PermanentError("bundle-graph", f"{file} is not an ONNX model.") from error
    if _has_external_data(model):
        raise PermanentError(
            "bundle-external-data",
            f"{file} keeps weights in another file, which its hash does not cover. "
            "Export it with all weights inside.",
        )
    problem = _interface_problem(model.graph, outputs)
    if problem:
        raise PermanentError("bundle-graph", f"{file}: {problem}.")
    return content


def _has_external_data(model: onnx.ModelProto) -> bool:
    tensors = _tensors(model.graph)
    inside_functions = (t for f in model.functions for n in f.node for t in _node_tensors(n))
    return any(
        tensor.data_location == TensorProto.EXTERNAL or tensor.external_data
        for source in (tensors, inside_functions)
        for tensor in source
    )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def _interface_problem(graph: onnx.GraphProto, outputs: int) -> str | None:
    """Say what is wrong with the graph's inputs and outputs, or None. -1 stands for any size."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {i.name: _type(i) for i in graph.input if i.name not in constants}
    given = {o.name: _type(o) for o in graph.output}
    crops = (TensorProto.UINT8, (-1, CROP_PX, CROP_PX, 3))
    if inputs != {INPUT_NAME: crops}:
        return (
            f"it must have one input, `{INPUT_NAME}`, uint8, shape (n, {CROP_PX}, {CROP_PX}, 3) "
            "with n open"
        )
    if given.get(LOGITS_NAME) != (TensorProto.FLOAT, (-1, outputs)):
        return f"it must have an output `{LOGITS_NAME}`, float32, shape (n, {outputs}) with n open"
    kind, shape = given.get(MAPS_NAME, (TensorProto.UNDEFINED, ()))
    if kind != TensorProto.FLOAT or len(shape) != 4 or shape[:2] != (-1, outputs):
        return (
            f"it must have an output `{MAPS_NAME}`, float32, shape (n, {outputs}, h, w) with n open"
        )
    return None


def _type(value: onnx.ValueInfoProto) -> tuple[int, tuple[int, ...]]:
    tensor = value.type.tensor_type
    sizes = (d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
    return tensor.elem_type, tuple(sizes)
