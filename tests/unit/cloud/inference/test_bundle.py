"""A bundle is used as it was made, or refused with a reason."""

import hashlib
import json

import onnx
import pytest
from onnx import TensorProto, helper

from hemaline_cloud.inference.bundle import load_bundle
from hemaline_shared.errors import PermanentError
from hemaline_shared.saved_bundle import save_bundle
from parts.bundles import tiny_manifest, tiny_network, tiny_trained


@pytest.fixture
def bundle(tmp_path):
    return tiny_trained(tmp_path / "bundle")


def _change(bundle, **changes):
    file = bundle / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def _save(path, model, **changes):
    files = {"net.onnx": model.SerializeToString()}
    save_bundle(path, tiny_manifest(files, **changes), files)
    return path


def _refusal(bundle):
    with pytest.raises(PermanentError) as caught:
        load_bundle(bundle)
    return caught.value


def test_an_intact_bundle_loads_with_its_graphs_and_identity(bundle):
    loaded = load_bundle(bundle)
    assert loaded.manifest.bundle_id == "tiny-1"
    assert set(loaded.graphs) == {"first", "second"}
    assert loaded.sha256 == hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()


def test_two_bundles_of_the_same_bytes_are_the_same_bundle(bundle, tmp_path):
    assert load_bundle(tiny_trained(tmp_path / "again")).sha256 == load_bundle(bundle).sha256


def test_other_operating_points_make_another_bundle(bundle):
    before = load_bundle(bundle).sha256
    points = {"blast": 0.5, "lymphocyte": 0, "smudge": 0}
    (task,) = json.loads((bundle / "manifest.json").read_text())["tasks"]
    _change(bundle, tasks=[{**task, "operating_points": points}])
    assert load_bundle(bundle).sha256 != before


def test_a_changed_file_is_refused(bundle):
    file = bundle / "first.onnx"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    error = _refusal(bundle)
    assert error.reason == "bundle-hash"
    assert "first.onnx" in str(error)


def test_a_missing_directory_file_or_manifest_is_named(bundle, tmp_path):
    assert _refusal(tmp_path / "nowhere").reason == "bundle-missing"
    (bundle / "second.onnx").unlink()
    error = _refusal(bundle)
    assert error.reason == "bundle-missing"
    assert "second.onnx" in str(error)


@pytest.mark.parametrize("content", ["no json", "[]", "{}"])
def test_what_is_no_manifest_is_refused(bundle, content):
    (bundle / "manifest.json").write_text(content)
    assert _refusal(bundle).reason in {"bundle-manifest", "bundle-version"}


def test_an_unknown_schema_version_is_refused(bundle):
    _change(bundle, schema_version=1)
    error = _refusal(bundle)
    assert error.reason == "bundle-version"
    assert "schema version 1" in str(error)


def test_an_unknown_field_is_refused_because_it_may_change_the_meaning(bundle):
    _change(bundle, ensemble="maximum")
    assert _refusal(bundle).reason == "bundle-manifest"


def test_another_pixel_pipeline_is_refused(bundle):
    _change(bundle, pixel_pipeline="0")
    error = _refusal(bundle)
    assert error.reason == "bundle-pixel-pipeline"
    assert "pixel pipeline 0" in str(error)


@pytest.mark.parametrize("file", ["../first.onnx", "/etc/first.onnx", "a/first.onnx", ".x.onnx"])
def test_a_file_outside_the_bundle_is_refused(bundle, file):
    networks = [{"name": "first", "file": file, "sha256": "0" * 64}]
    _change(bundle, networks=networks)
    assert _refusal(bundle).reason == "bundle-manifest"


def test_a_link_out_of_the_bundle_is_refused(bundle, tmp_path):
    outside = tmp_path / "outside.onnx"
    (bundle / "first.onnx").rename(outside)
    (bundle / "first.onnx").symlink_to(outside)
    assert _refusal(bundle).reason == "bundle-path"


def _external(tensor):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def test_external_weights_are_refused(tmp_path):
    model = tiny_network(3)
    _external(model.graph.initializer[2])
    assert _refusal(_save(tmp_path / "b", model)).reason == "bundle-external-data"


def test_external_weights_hidden_in_a_branch_are_refused(tmp_path):
    model = tiny_network(3)
    tensor = helper.make_tensor("hidden", TensorProto.FLOAT, [1], [1.0])
    _external(tensor)
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    branch = helper.make_graph([constant], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch))
    assert _refusal(_save(tmp_path / "b", model)).reason == "bundle-external-data"


def test_external_weights_hidden_in_a_function_are_refused(tmp_path):
    model = tiny_network(3)
    tensor = helper.make_tensor("hidden", TensorProto.FLOAT, [1], [1.0])
    _external(tensor)
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    opset = [helper.make_opsetid("", 20)]
    model.functions.append(helper.make_function("own", "F", [], ["c"], [constant], opset))
    assert _refusal(_save(tmp_path / "b", model)).reason == "bundle-external-data"


def test_bytes_that_are_no_model_are_refused(tmp_path):
    files = {"net.onnx": b"\xff\xff\xff no model"}
    save_bundle(tmp_path / "b", tiny_manifest(files), files)
    assert _refusal(tmp_path / "b").reason == "bundle-graph"


def _value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize(
    ("where", "value", "named"),
    [
        ("input", _value("crops", TensorProto.FLOAT, ["n", 224, 224, 3]), "uint8"),
        ("input", _value("crops", TensorProto.UINT8, ["n", 3, 224, 224]), "224, 224, 3"),
        ("input", _value("crops", TensorProto.UINT8, [1, 224, 224, 3]), "n open"),
        ("input", _value("image", TensorProto.UINT8, ["n", 224, 224, 3]), "`crops`"),
        ("logits", _value("logits", TensorProto.FLOAT, ["n", 4]), "(n, 3)"),
        ("logits", _value("logits", TensorProto.FLOAT16, ["n", 3]), "float32"),
        ("logits", _value("scores", TensorProto.FLOAT, ["n", 3]), "`logits`"),
        ("maps", _value("activation_maps", TensorProto.FLOAT, ["n", 3]), "(n, 3, h, w)"),
        ("maps", _value("maps", TensorProto.FLOAT, ["n", 3, "h", "w"]), "`activation_maps`"),
    ],
)
def test_a_graph_of_another_shape_is_refused(tmp_path, where, value, named):
    model = tiny_network(3)
    place = {"input": model.graph.input[0], "logits": model.graph.output[0]}
    place.get(where, model.graph.output[1]).CopyFrom(value)
    error = _refusal(_save(tmp_path / "b", model))
    assert error.reason == "bundle-graph"
    assert named in str(error)


def test_tasks_that_ask_for_other_outputs_than_the_graph_gives_are_refused(bundle):
    (task,) = json.loads((bundle / "manifest.json").read_text())["tasks"]
    points = {"AML-nonAPL": 0.5, "APL": 0.5}
    apl = {"name": "apl", "labels": list(points), "operating_points": points}
    _change(bundle, tasks=[task, apl])
    error = _refusal(bundle)
    assert error.reason == "bundle-graph"
    assert "(n, 5)" in str(error)


def test_a_second_input_is_refused(tmp_path):
    model = tiny_network(3)
    model.graph.input.append(_value("age", TensorProto.FLOAT, ["n"]))
    assert _refusal(_save(tmp_path / "b", model)).reason == "bundle-graph"


def test_a_weight_that_is_also_listed_as_input_is_no_second_input(tmp_path):
    model = tiny_network(3)
    weight = model.graph.initializer[0]
    model.graph.input.append(_value(weight.name, weight.data_type, list(weight.dims)))
    assert load_bundle(_save(tmp_path / "b", model))


def test_an_interrupted_save_leaves_no_bundle(tmp_path):
    files = {"net.onnx": tiny_network(3).SerializeToString(), "missing/dir.onnx": b""}
    with pytest.raises(FileNotFoundError):
        save_bundle(tmp_path / "b", tiny_manifest({"net.onnx": b""}), files)
    assert list(tmp_path.iterdir()) == []


def test_who_saves_second_leaves_the_first_bundle_as_it_is(tmp_path):
    first = _save(tmp_path / "b", tiny_network(3, seed=1))
    identity = load_bundle(first).sha256
    _save(tmp_path / "b", tiny_network(3, seed=2))
    assert load_bundle(first).sha256 == identity
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_model_of_the_tests_is_valid_onnx():
    onnx.checker.check_model(tiny_network(), full_check=True)
