"""A run's settings: what is refused, and why."""

import tomllib

import pytest
from pydantic import ValidationError

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import TaskEntry
from hemaline_train.learning.config import RunConfig
from hemaline_train.toml_file import read_toml
from parts.settings import FLAT_RUN


def test_a_flat_file_is_a_run(tmp_path):
    (tmp_path / "run.toml").write_text(FLAT_RUN)
    assert read_toml(tmp_path / "run.toml", RunConfig).architecture == "resnet34"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FLAT_RUN.replace('"one"', '"one"\nepoch = 3'), "epoch"),
        (FLAT_RUN.replace("resnet34", "vgg16"), "architecture"),
        (FLAT_RUN.replace("cell-class", "cell-colour"), "cell-colour|there are only"),
        (FLAT_RUN.replace('"one"', '"one"\nown_task = "leukaemia"'), "own_labels"),
        (FLAT_RUN.replace("aml-deepapl = 1.0", "aml-deepapl = 0"), "data_sets.aml-deepapl"),
        ("name = ", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path, text, said):
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(PermanentError, match=said):
        read_toml(tmp_path / "run.toml", RunConfig)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "run.toml").write_bytes(FLAT_RUN.replace("one", "für uns").encode("latin-1"))
    with pytest.raises(PermanentError, match="not UTF-8") as refused:
        read_toml(tmp_path / "run.toml", RunConfig)
    assert refused.value.reason == "config"


def test_what_is_wrong_is_told_with_its_key_and_without_ceremony(tmp_path):
    (tmp_path / "run.toml").write_text(FLAT_RUN.replace("cell-class", "cell-colour"))
    with pytest.raises(PermanentError, match=r"run\.toml is wrong: tasks: there are only"):
        read_toml(tmp_path / "run.toml", RunConfig)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(PermanentError, match=r"none\.toml"):
        read_toml(tmp_path / "none.toml", RunConfig)


def test_a_lab_asks_its_own_question_of_its_own_images(tmp_path):
    (tmp_path / "run.toml").write_text(
        FLAT_RUN.replace('"one"', '"one"\nown_task = "leukaemia"\nown_labels = ["healthy", "CML"]')
        .replace("cell-class", "leukaemia")
        .replace("aml-deepapl", "our-lab")
    )
    config = read_toml(tmp_path / "run.toml", RunConfig)
    (task,) = config.asked()
    assert task.labels == ("healthy", "CML")
    assert config.described("our-lab").tasks == (task,)


def own(labels, task="ours"):
    return tomllib.loads(FLAT_RUN) | {"own_task": task, "own_labels": labels}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["Early Pre-B", "Pre-B"], "rename 'Early Pre-B', such as to 'Early-Pre-B'"),
        (["Früh", "Pre-B"], "such as to 'Fr-h'"),
        (["été", "Pre-B"], "such as to 't'"),
        (["x" * 64, "Pre-B"], "at most 63"),
        (["Pre-B\n", "Pro-B"], "rename"),
        (["", "Pro-B"], "such as to 'class-1'"),
        (["Pre-B", "Pre-B"], "'Pre-B' stands there twice"),
        (["Pre-B", "unclassified"], "operating point is called; rename"),
        ([f"c{number}" for number in range(65)], "64"),
    ],
)
def test_labels_that_no_bundle_could_carry_are_refused_before_training(labels, said):
    with pytest.raises(ValidationError):
        TaskEntry(name="ours", labels=labels)
    with pytest.raises(ValidationError, match=said):
        RunConfig.model_validate(own(labels))


def test_labels_that_a_bundle_can_carry_are_taken():
    labels = ("Early-Pre-B", "Pre.B_2", "0", "x" * 63)
    assert TaskEntry(name="ours", labels=labels).labels == labels
    assert RunConfig.model_validate(own(labels)).own_labels == labels


def test_a_known_task_has_no_other_labels():
    with pytest.raises(
        ValidationError, match=r"known task .* rename it, such as to our-cell-class"
    ):
        RunConfig.model_validate(own(["a", "b"], task="cell-class"))


def test_a_data_set_of_no_catalogue_needs_an_own_task(tmp_path):
    (tmp_path / "run.toml").write_text(FLAT_RUN.replace("aml-deepapl", "our-lab"))
    with pytest.raises(PermanentError, match="our-lab"):
        read_toml(tmp_path / "run.toml", RunConfig).described("our-lab")


def test_a_fold_s_teachers_and_start_are_of_the_same_fold():
    config = RunConfig.model_validate(
        tomllib.loads(FLAT_RUN) | {"teachers": ["a", "b"], "starts_from": "c"}
    )
    folded = config.for_fold(3)
    assert (folded.name, folded.fold) == ("one.fold-3", 3)
    assert folded.teachers == ("a.fold-3", "b.fold-3")
    assert folded.starts_from == "c.fold-3"
    assert RunConfig.model_validate(tomllib.loads(FLAT_RUN)).for_fold(0).starts_from == ""


def test_there_is_no_fold_beyond_the_last():
    with pytest.raises(PermanentError, match="no part 5"):
        RunConfig.model_validate(tomllib.loads(FLAT_RUN)).for_fold(5)


def test_a_run_that_starts_from_a_bundle_has_no_folds_and_leaves_no_laboratory_out():
    settings = tomllib.loads(FLAT_RUN) | {"initial_weights": "hemaline-2/resnet34.onnx"}
    ours = RunConfig.model_validate(settings)
    for judged_alone in (lambda: ours.for_fold(0), lambda: ours.without("bccd", {"bccd"})):
        with pytest.raises(PermanentError, match="may have trained on what judges here"):
            judged_alone()


def test_a_last_stage_learns_from_whole_crops_alone():
    blended = {"learns": "last-stage", "augment_blend": 0.2}
    with pytest.raises(ValidationError, match="no augment_blend"):
        RunConfig.model_validate(tomllib.loads(FLAT_RUN) | blended)
