"""From images to a bundle: training that resumes, and what the worker makes of the result."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")
pytest.importorskip("onnxscript", reason="make setup-train brings onnxscript")

import numpy as np
from monai.networks.nets.resnet import ResNet

from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.folding import keeps_floats
from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import read_bundle
from hemaline_train.bundles.export import Form, export
from hemaline_train.bundles.join import join
from hemaline_train.judging.markdown import evaluation_section
from hemaline_train.judging.ranks import Rank
from hemaline_train.learning import train as training
from hemaline_train.learning.checkpoint import (
    FILE,
    finished_run,
    load_checkpoint,
    save_checkpoint,
    trained_network,
)
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.cross_validation import judge_checkpoints
from hemaline_train.learning.last_stage import answers_by_looks, look
from hemaline_train.learning.networks import ARCHITECTURES
from hemaline_train.learning.origin import sha256_of
from hemaline_train.learning.progress import Progress
from hemaline_train.learning.run import Places, start_run
from hemaline_train.learning.stages import stages_of
from hemaline_train.learning.train import CURVE_FILE, train
from hemaline_train.learning.training_set import load_training_set
from hemaline_train.reports.evaluate import answer, confusion_of, evaluate_bundle
from parts.waiting import LONG_S

pytestmark = pytest.mark.xdist_group("torch")


def config(**changes):
    settings = {
        "name": "tiny",
        "architecture": "resnet34",
        "tasks": {"cell-class": 1.0, "apl": 0.3},
        "data_sets": {"aml-deepapl": 1.0},
        "input_px": 32,
        "epochs": 2,
        "draws_per_epoch": 12,
        "batch_size": 4,
    }
    return RunConfig.model_validate(settings | changes)


def _narrow_resnet():
    """A ResNet as `resnet34` is, with a hundredth of its weights."""
    whole = ResNet(
        *("basic", [1, 1, 1, 1], [8, 16, 32, 64]),
        spatial_dims=2,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
    )
    stem = (whole.conv1, whole.bn1, whole.act, whole.maxpool)
    return torch.nn.Sequential(*stem, whole.layer1, whole.layer2, whole.layer3, whole.layer4)


@pytest.fixture(scope="module", autouse=True)
def _narrow():
    """Runs are small in all respects here; `test_two_processes…` trains a network of full size."""
    with pytest.MonkeyPatch.context() as patch:
        small = replace(ARCHITECTURES["resnet34"], build=_narrow_resnet, channels=64)
        patch.setitem(ARCHITECTURES, "resnet34", small)
        yield


def beside(run, data):
    return Places(data, run.parent / "cache", run.parent)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def cache(runs):
    """What was cut once need not be cut for each test."""
    return runs / "cache"


@pytest.fixture(scope="module")
def trained(tiny_data, runs, cache):
    train(config(epochs=3), Places(tiny_data, cache, runs), "cpu")
    return runs / "tiny"


@pytest.fixture(scope="module")
def bundle(trained, tiny_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "tiny-1"
    export([trained / FILE], beside(trained, tiny_data), folder)
    return folder


def test_an_exported_bundle_says_how_often_it_errs(bundle, tiny_data, cache):
    told = read_bundle(bundle).confusions["cell-class"]
    judged = sum(sum(row.values()) for row in told.counts.values())
    again = confusion_of(answer(read_bundle(bundle), tiny_data / "aml-deepapl", "val", cache))
    assert judged > 0
    assert told.judged_on == "aml-deepapl, val"
    assert again == ("cell-class", told)


def test_activations_are_in_eight_bits_where_that_is_wished_whatever_they_cost(
    trained, tiny_data, tmp_path, monkeypatch
):
    monkeypatch.setattr("hemaline_train.bundles.export.MOST_LOST", -1.0)  # nothing is good enough
    form = Form(int8_activations=True, views=1)
    export([trained / FILE], beside(trained, tiny_data), tmp_path / "tiny-2", form=form)
    made = read_bundle(tmp_path / "tiny-2")
    assert made.provenance["runs"][0]["activations"] == "uint8"
    assert not keeps_floats(made.networks[0].graph)


def test_what_training_saw_does_not_measure_a_bundle(bundle, tiny_data, cache):
    seen = answer(read_bundle(bundle), tiny_data / "aml-deepapl", "train", cache)
    with pytest.raises(PermanentError) as refused:
        confusion_of(seen)
    assert refused.value.reason == "seen-in-training"


def test_a_run_killed_within_an_epoch_goes_on_to_the_same_weights(
    tiny_data, cache, tmp_path, monkeypatch
):
    whole = Places(tiny_data, cache, tmp_path / "whole")
    stopped = Places(tiny_data, cache, tmp_path / "stopped")
    train(config(), whole, "cpu")
    learn, steps = training._learn, []

    def killed(*arguments):
        steps.append(None)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(training, "_learn", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config(), stopped, "cpu")
    monkeypatch.undo()
    train(config(), stopped, "cpu")
    expected = load_checkpoint(whole.runs / "tiny" / FILE)
    resumed = load_checkpoint(stopped.runs / "tiny" / FILE)
    assert resumed["curve"] == expected["curve"]
    assert all(
        torch.equal(resumed["average"][name], value) for name, value in expected["average"].items()
    )


def test_a_run_with_other_settings_does_not_go_on_from_a_checkpoint(trained, tiny_data):
    with pytest.raises(PermanentError, match="other settings"):
        train(config(epochs=9), beside(trained, tiny_data), "cpu")


def test_a_run_ends_where_it_is_told_to_also_if_it_is_told_later(tiny_data, cache, tmp_path):
    places = Places(tiny_data, cache, tmp_path)
    train(config(epochs=3, stop_after=1), places, "cpu")
    assert finished_run(tmp_path / "tiny" / FILE).epoch == 1
    train(config(epochs=3, stop_after=2), places, "cpu")
    assert finished_run(tmp_path / "tiny" / FILE).epoch == 2
    whole = load_checkpoint(tmp_path / "tiny" / FILE)
    whole["config"] = config(epochs=3).model_dump_json()
    save_checkpoint(tmp_path / "tiny", whole)
    with pytest.raises(PermanentError, match="is at epoch 2 of 3: finish it"):
        finished_run(tmp_path / "tiny" / FILE)
    train(config(epochs=3, stop_after=2), places, "cpu")
    assert finished_run(tmp_path / "tiny" / FILE).config.last_epoch == 2


def test_the_last_stage_alone_learns_from_a_bundle(bundle, tiny_data, cache, tmp_path):
    places = Places(tiny_data, cache, tmp_path, bundle.parent)
    ours = config(
        name="ours",
        initial_weights=f"{bundle.name}/resnet34.onnx",
        learns="last-stage",
        learning_rate=0.01,
        warm_up=0.01,
    )
    train(ours, places, "cpu")
    begun = start_run(ours, places, Rank(0, 1, torch.device("cpu")), lambda: crops_of(ours, places))
    run = finished_run(tmp_path / "ours" / FILE)
    early, late = (dict(one.named_parameters()) for one in stages_of(run.network))
    first_early, first_late = (dict(one.named_parameters()) for one in stages_of(begun.average))
    assert all(torch.equal(value, first_early[name]) for name, value in early.items())
    assert not any(torch.equal(value, first_late[name]) for name, value in late.items())
    assert set(run.origin["initial_weights"]) == {f"{bundle.name}/resnet34.onnx"}


@pytest.fixture(scope="module")
def looked(trained, tiny_data):
    """A run that begins as its teacher, the training set, and what the early stages made of it."""
    places = beside(trained, tiny_data)
    same = config(name="same", learns="last-stage", starts_from="tiny", teachers=("tiny",))
    run = start_run(same, places, Rank(0, 1, torch.device("cpu")), lambda: crops_of(same, places))
    data = load_training_set(same, places.data, places.cache)
    return run, data, look(run, data, Progress(1, 0))


def test_looks_judge_as_the_whole_network_does(looked):
    run, data, looks = looked
    given = answers_by_looks(run.average, looks)
    whole = training.answers_of(run.average, data, looks.judging, torch.device("cpu"))
    for task, expected in whole.items():
        # Half precision keeps three digits of what the last stage takes.
        assert given[task] == pytest.approx(expected, abs=0.02)


def test_teachers_see_the_crops_that_the_early_stages_see(looked):
    run, _, looks = looked
    with torch.inference_mode():
        features = stages_of(run.average)[1](looks.trained.float()).mean(dim=(2, 3))
        logits = run.average.head(features)
    assert looks.taught.logits.numpy() == pytest.approx(logits.numpy(), abs=0.02)
    assert looks.taught.features.numpy() == pytest.approx(features.numpy(), abs=0.02)


@pytest.mark.deploy  # a quarter of a minute of a core
def test_a_last_stage_learns_from_a_teacher(trained, tiny_data):
    places = beside(trained, tiny_data)
    taught = config(
        name="taught", epochs=1, learns="last-stage", starts_from="tiny", teachers=("tiny",)
    )
    train(taught, places, "cpu")
    run = finished_run(trained.parent / "taught" / FILE)
    assert set(run.origin["teachers"]) == {"tiny"}


def test_networks_of_several_bundles_join_into_one(bundle, trained, tiny_data, tmp_path):
    places = beside(trained, tiny_data)
    second = tmp_path / "tiny-2"
    shutil.copytree(bundle, second)
    with pytest.raises(PermanentError, match="the same name"):
        join([bundle, second], places, tmp_path / "both-1")
    rename_network(second, "resnet34-again")
    join([bundle, second], places, tmp_path / "both-1")
    one, both = read_bundle(bundle), read_bundle(tmp_path / "both-1")
    assert [network.name for network in both.networks] == ["resnet34", "resnet34-again"]
    assert [network.calibration["cell-class"].weight for network in both.networks] == [0.5, 0.5]
    assert both.points["cell-class"] == pytest.approx(one.points["cell-class"], abs=0.02)
    assert both.confusions.keys() == {"cell-class"}


def rename_network(folder, name):
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["networks"][0] |= {"name": name}
    file.write_text(json.dumps(manifest))


def crops_of(config, places):
    return load_training_set(config, places.data, places.cache).some_trained()


def test_the_curve_has_a_row_for_each_epoch(trained):
    assert len((trained / CURVE_FILE).read_text().splitlines()) == 1 + 3


def test_a_pupil_learns_from_a_checkpoint(trained, tiny_data):
    train(config(name="pupil", epochs=1, teachers=("tiny",)), beside(trained, tiny_data), "cpu")
    assert load_checkpoint(trained.parent / "pupil" / FILE)["epoch"] == 1


def test_a_run_starts_from_the_weights_of_another(trained, tiny_data):
    later = config(name="later", epochs=1, learning_rate=1e-12, starts_from="tiny")
    train(later, beside(trained, tiny_data), "cpu")
    _, before = trained_network(trained / FILE)
    _, after = trained_network(trained.parent / "later" / FILE)
    assert torch.allclose(after.head.weight, before.head.weight, atol=1e-6)


def test_a_run_does_not_start_from_another_architecture(trained, tiny_data):
    other = config(name="elsewhere", architecture="densenet121", starts_from="tiny")
    with pytest.raises(PermanentError) as refused:
        train(other, beside(trained, tiny_data), "cpu")
    assert refused.value.reason == "starts-from"


def test_a_run_without_a_judge_is_refused_before_it_begins(tiny_data, tmp_path):
    (tmp_path / "aml-deepapl").mkdir()
    manifest = (tiny_data / "aml-deepapl" / "manifest.tsv").read_text().replace("val", "train")
    (tmp_path / "aml-deepapl" / "manifest.tsv").write_text(manifest)
    with pytest.raises(PermanentError, match="No picture judges cell-class"):
        train(config(), Places(tmp_path, tmp_path / "cache", tmp_path), "cpu")
    assert not (tmp_path / "cache").exists()


def test_a_checkpoint_without_its_weights_is_not_gone_on_from(tiny_data, cache, tmp_path):
    places = Places(tiny_data, cache, tmp_path)
    (tmp_path / "tiny").mkdir()
    save_checkpoint(tmp_path / "tiny", {"config": config().model_dump_json()})
    with pytest.raises(PermanentError, match="it has no 'network'"):
        train(config(), places, "cpu")


def test_a_teacher_of_other_tasks_is_refused(trained, tiny_data):
    taught = config(name="other", tasks={"cell-class": 1.0}, teachers=("tiny",))
    with pytest.raises(PermanentError) as refused:
        train(taught, beside(trained, tiny_data), "cpu")
    assert refused.value.reason == "teacher"


@pytest.mark.parametrize("earlier", [{"teachers": ("tiny",)}, {"starts_from": "tiny"}])
def test_what_was_judged_by_other_samples_does_not_teach(trained, tiny_data, earlier):
    with pytest.raises(PermanentError, match="judged by other samples"):
        train(config(name="folded", fold=0, **earlier), beside(trained, tiny_data), "cpu")


def test_a_patient_on_both_sides_is_not_trained_on(tiny_data, tmp_path):
    folder = tmp_path / "aml-deepapl"
    folder.mkdir()
    source = tiny_data / "aml-deepapl"
    for image in source.glob("*.png"):
        (folder / image.name).write_bytes(image.read_bytes())
    manifest = (source / "manifest.tsv").read_text().replace("\tP11\t", "\tP0\t")
    (folder / "manifest.tsv").write_text(manifest)
    with pytest.raises(PermanentError, match="P0") as refused:
        train(config(), Places(tmp_path, tmp_path / "cache", tmp_path), "cpu")
    assert refused.value.reason == "leak"


def test_a_run_is_judged_on_what_it_kept_from_training(trained, tiny_data):
    report = judge_checkpoints([trained / FILE], tiny_data, trained.parent / "cache", "cpu")
    assert 0 <= report["cell-class@aml-deepapl"]["balanced_accuracy"].value <= 1


def test_the_same_samples_do_not_judge_twice(trained, tiny_data):
    with pytest.raises(PermanentError) as refused:
        judge_checkpoints([trained / FILE] * 2, tiny_data, trained.parent / "cache", "cpu")
    assert refused.value.reason == "folds"


def test_the_worker_loads_the_bundle(bundle):
    loaded = load_bundle(bundle)
    assert loaded.manifest.trained
    cells, apl = loaded.manifest.tasks
    assert (cells.name, cells.blasts) == ("cell-class", ("blast",))
    assert (apl.name, apl.asked_of) == ("apl", ("blast", "immature-granulocyte"))
    assert set(loaded.manifest.networks[0].calibration) == {"cell-class", "apl"}


def test_the_manifest_says_how_far_the_graph_strays_from_the_network(bundle):
    (run,) = load_bundle(bundle).manifest.provenance["runs"]
    assert run["parity"]["largest_difference"] < 1e-3
    assert run["int8"]["cell-class"]["same_answers"] > 0.5


def test_the_manifest_says_by_content_what_a_network_learned_from(bundle, tiny_data):
    (run,) = load_bundle(bundle).manifest.provenance["runs"]
    table = tiny_data / "aml-deepapl" / "manifest.tsv"
    assert run["epochs"] == 3
    assert run["learned_from"]["manifests"] == {"aml-deepapl/manifest.tsv": sha256_of(table)}
    assert set(run["learned_from"]["label_reviews"]) == {"label_review.tsv"}


def test_a_teacher_is_recorded_with_its_epochs_and_hash(trained, tiny_data):
    train(config(name="recorded", teachers=["tiny"], epochs=1), beside(trained, tiny_data), "cpu")
    origin = finished_run(trained.parent / "recorded" / FILE).origin
    assert origin["teachers"] == {"tiny": {"epochs": 3, "sha256": sha256_of(trained / FILE)}}
    assert origin["starts_from"] == {}


def test_a_head_that_was_not_taught_is_not_exported(trained, tiny_data, tmp_path):
    with pytest.raises(PermanentError, match="all-subtype"):
        export(
            [trained / FILE],
            beside(trained, tiny_data),
            tmp_path / "b",
            tasks=["all-subtype"],
            form=Form(int8=False),
        )


def test_the_bundle_is_judged_on_a_data_set(bundle, tiny_data, trained):
    evaluation, apl = evaluate_bundle(
        bundle, tiny_data / "aml-deepapl", "val", trained.parent / "cache", resamples=20
    )
    assert (apl.task, apl.n) == ("apl", 4)
    assert (evaluation.n, evaluation.groups) == (8, 4)
    assert np.sum(evaluation.served.confusion) == 8
    assert evaluation.served.metrics["blast_vs_lymphocyte_auroc"].value is not None
    assert "| blast |" in evaluation_section(evaluation)


def test_a_split_without_samples_is_refused(bundle, tiny_data, trained):
    with pytest.raises(PermanentError, match="heldout"):
        evaluate_bundle(bundle, tiny_data / "aml-deepapl", "heldout", trained.parent / "cache")


def test_a_bundle_whose_file_changed_is_refused(bundle, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    graph = copy / "resnet34.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(PermanentError) as refused:
        read_bundle(copy)
    assert refused.value.reason == "bundle-hash"


def test_an_existing_bundle_is_not_overwritten(bundle, trained, tiny_data):
    with pytest.raises(PermanentError) as refused:
        export([trained / FILE], beside(trained, tiny_data), bundle, form=Form(int8=False))
    assert refused.value.reason == "bundle-exists"


def test_a_gpu_that_is_not_there_is_not_replaced_in_silence(tiny_data, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(PermanentError) as refused:
        train(config(), Places(tiny_data, tmp_path, tmp_path), "cuda")
    assert refused.value.reason == "no-gpu"


@pytest.mark.deploy  # three starts of PyTorch take 40 s of a core
def test_two_processes_train_one_network(tiny_data, cache, tmp_path):
    (tmp_path / "run.toml").write_text(
        'name = "pair"\narchitecture = "resnet34"\ninput_px = 32\nepochs = 1\n'
        "draws_per_epoch = 16\nbatch_size = 8\n"
        "[tasks]\ncell-class = 1.0\n[data_sets]\naml-deepapl = 1.0\n"
    )
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "hemaline_train", "train", str(tmp_path / "run.toml"), "--threads", "1"),
        *("--data", str(tiny_data), "--cache", str(cache), "--runs", str(tmp_path)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_S, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    state = load_checkpoint(tmp_path / "pair" / FILE)
    assert (state["epoch"], len(state["curve"])) == (1, 1)
