"""The networks run on the device that was asked for, and repeat themselves bit for bit."""

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from hemaline_cloud.inference import runtime
from hemaline_cloud.inference.bundle import ModelBundle, load_bundle
from hemaline_cloud.inference.runtime import DeviceError, Networks, cpus, require_active
from hemaline_shared.errors import PermanentError
from parts.bundles import (
    EVERY_TASK,
    FIELDS_ALONE,
    FIRST_LOOK,
    tiny_manifest,
    tiny_network,
    tiny_trained,
)
from parts.queued import smooth_crops

_NO_CUDA = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()


def _bundle(model):
    files = {"net.onnx": model.SerializeToString()}
    return ModelBundle(tiny_manifest(files), "0" * 64, {"net": files["net.onnx"]})


@pytest.fixture
def networks(tmp_path):
    networks = Networks(load_bundle(tiny_trained(tmp_path / "bundle")), "cpu")
    yield networks
    networks.close()


def test_every_network_gives_logits_for_every_crop(networks):
    logits = networks.logits(np.stack(smooth_crops(5)))
    assert {name: values.shape for name, values in logits.items()} == {
        "first": (5, 3),
        "second": (5, 3),
    }
    assert not np.array_equal(logits["first"], logits["second"])


def test_every_network_gives_an_activation_map_for_every_output(networks):
    crops = np.stack(smooth_crops(5))
    outputs = {name: future.result() for name, future in networks.submit(crops).items()}
    for output in outputs.values():
        assert output.maps.shape == (5, 3, 56, 56)
        np.testing.assert_allclose(output.maps.mean(axis=(2, 3)), output.logits, rtol=1e-3)
        assert np.array_equal(output.of(slice(1, 3)).logits, output.logits[1:3])


def test_a_crops_logits_do_not_depend_on_its_batch(networks):
    crops = np.stack(smooth_crops(7))
    together = networks.logits(crops)
    backwards = networks.logits(np.ascontiguousarray(crops[::-1]))
    for name, values in together.items():
        assert np.array_equal(values, backwards[name][::-1])
        for index in range(7):
            alone = networks.logits(crops[index : index + 1])
            assert np.array_equal(alone[name][0], values[index])


@pytest.fixture
def in_turn(tmp_path):
    folder = tiny_trained(tmp_path / "in-turn", EVERY_TASK, FIRST_LOOK)
    networks = Networks(load_bundle(folder), "cpu")
    yield networks
    networks.close()


def test_of_whom_a_network_is_asked_and_what_it_says_does_not_depend_on_the_batch(in_turn):
    colours = np.random.default_rng(0).integers(0, 256, (10, 1, 1, 3), np.uint8)
    crops = np.ascontiguousarray(np.broadcast_to(colours, (10, 224, 224, 3)))
    cells = np.ones(len(crops), bool)
    together = in_turn.look(crops, cells).result()
    assert 0 < together.alone.sum() < len(crops)
    assert not together.outputs["second"].logits[together.alone].any()
    for place in range(len(crops)):
        one = slice(place, place + 1)
        by_itself = in_turn.look(crops[one], cells[one]).result()
        assert by_itself.alone[0] == together.alone[place]
        for name, output in by_itself.outputs.items():
            assert np.array_equal(output.logits, together.outputs[name].of(one).logits)
            assert np.array_equal(output.maps, together.outputs[name].of(one).maps)


def test_every_network_is_asked_of_a_field_where_the_bundle_does_not_say_otherwise(in_turn):
    crops = np.stack(smooth_crops(4))
    looked = in_turn.look(crops, np.zeros(4, bool)).result()
    assert not looked.alone.any()
    everything = in_turn.logits(crops)
    for name, output in looked.outputs.items():
        assert np.array_equal(output.logits, everything[name])


def test_of_fields_one_network_alone_is_asked_where_the_bundle_says_so(tmp_path):
    folder = tiny_trained(tmp_path / "fields", EVERY_TASK, FIELDS_ALONE)
    networks = Networks(load_bundle(folder), "cpu")
    looked = networks.look(np.stack(smooth_crops(4)), np.zeros(4, bool)).result()
    networks.close()
    assert looked.alone.all()
    assert list(looked.outputs) == ["first"]


@pytest.mark.parametrize("crops", [1, 2, 5])
def test_a_sound_device_passes_its_self_test_at_any_batch_size(networks, crops):
    networks.self_test(crops)


@pytest.mark.parametrize("off_by", [np.nan, np.inf, 0.5])
def test_a_device_that_gives_other_answers_than_before_fails_its_self_test(
    networks, monkeypatch, off_by
):
    """Off by a share of the largest logit."""

    def wrong(session, crops):
        output = run(session, crops)
        output.logits[-1, 0] += off_by * np.abs(output.logits).max()
        return output

    run = runtime._run
    monkeypatch.setattr(runtime, "_run", wrong)
    with pytest.raises(DeviceError, match="gives other answers") as caught:
        networks.self_test(3)
    assert caught.value.reason == "device-failed"


def test_a_device_that_does_not_run_fails_its_self_test(networks, monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA failure 719")

    monkeypatch.setattr(runtime, "_run", broken)
    with pytest.raises(DeviceError, match="CUDA failure 719"):
        networks.self_test(3)


def test_more_networks_than_cpus_share_a_thread_for_each_and_answer_the_same(
    networks, tmp_path, monkeypatch
):
    monkeypatch.setattr(runtime, "cpus", lambda: 1)
    crowded = Networks(load_bundle(tiny_trained(tmp_path / "again")), "cpu")
    crops = np.stack(smooth_crops(5))
    expected = networks.logits(crops)
    assert len(set(crowded._runners.values())) == 1
    for name, values in crowded.logits(crops).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5)
    crowded.close()


@pytest.mark.skipif(not _NO_CUDA, reason="this machine has CUDA")
def test_cuda_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="CUDA was asked for") as caught:
        Networks(load_bundle(tiny_trained(tmp_path / "bundle")), "cuda")
    assert caught.value.reason == "cuda-unavailable"


def test_cuda_that_onnxruntime_silently_leaves_is_refused(tmp_path, monkeypatch):
    # A GPU build without its CUDA libraries lists the provider, and then runs on the processor.
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(runtime.onnxruntime, "get_available_providers", lambda: listed)
    start = onnxruntime.InferenceSession
    monkeypatch.setattr(
        runtime.onnxruntime,
        "InferenceSession",
        lambda graph, options, **_: start(graph, options, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(PermanentError, match="CPUExecutionProvider instead") as caught:
        Networks(load_bundle(tiny_trained(tmp_path / "bundle")), "cuda")
    assert caught.value.reason == "cuda-unavailable"


def test_a_provider_that_is_active_is_enough():
    require_active("CUDAExecutionProvider", ["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_a_graph_that_onnxruntime_cannot_load_is_refused():
    model = tiny_network(3)
    model.graph.node.append(helper.make_node("NoSuchOperator", ["crops"], ["nothing"]))
    with pytest.raises(PermanentError, match="network net does not run") as caught:
        Networks(_bundle(model), "cpu")
    assert caught.value.reason == "bundle-graph"


def test_a_graph_that_fails_when_it_runs_is_refused():
    model = tiny_network(3)
    shape = numpy_helper.from_array(np.array([5, 7], np.int64), "five_by_seven")
    model.graph.initializer.append(shape)
    model.graph.node[-1].output[0] = "flat"
    model.graph.node.append(helper.make_node("Reshape", ["flat", "five_by_seven"], ["logits"]))
    with pytest.raises(PermanentError, match="does not run"):
        Networks(_bundle(model), "cpu")


def test_a_graph_whose_numbers_are_not_finite_is_refused():
    model = tiny_network(3)
    weights = model.graph.initializer[-1]
    broken = np.full(list(weights.dims), np.nan, np.float32)
    weights.CopyFrom(numpy_helper.from_array(broken, weights.name))
    with pytest.raises(PermanentError, match="no finite logits"):
        Networks(_bundle(model), "cpu")


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1)]
)
def test_a_containers_quota_counts_not_its_hosts_cpus(tmp_path, monkeypatch, quota, expected):
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    monkeypatch.setattr(runtime, "_CPU_QUOTA", file)
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: set(range(8)))
    assert cpus() == expected


def test_without_a_quota_every_allowed_cpu_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "_CPU_QUOTA", tmp_path / "none")
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: {0, 3})
    assert cpus() == 2
