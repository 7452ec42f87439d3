"""A run's settings: what is refused, and why."""

import tomllib

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.config import RunConfig
from hemaline_train.toml_file import read_toml

GOOD = """
name = "one"
architecture = "resnet34"
[tasks]
cell-class = 1.0
[data_sets]
aml-deepapl = 1.0
"""


def test_a_flat_file_is_a_run(tmp_path):
    (tmp_path / "run.toml").write_text(GOOD)
    assert read_toml(tmp_path / "run.toml", RunConfig).architecture == "resnet34"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace('"one"', '"one"\nepoch = 3'), "epoch"),
        (GOOD.replace("resnet34", "vgg16"), "architecture"),
        (GOOD.replace("cell-class", "cell-colour"), "cell-colour|there are only"),
        (GOOD.replace('"one"', '"one"\nown_task = "leukaemia"'), "own_labels"),
        ("name = ", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path, text, said):
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(PermanentError, match=said):
        read_toml(tmp_path / "run.toml", RunConfig)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(PermanentError, match=r"none\.toml"):
        read_toml(tmp_path / "none.toml", RunConfig)


def test_a_lab_asks_its_own_question_of_its_own_images(tmp_path):
    (tmp_path / "run.toml").write_text(
        GOOD.replace('"one"', '"one"\nown_task = "leukaemia"\nown_labels = ["healthy", "CML"]')
        .replace("cell-class", "leukaemia")
        .replace("aml-deepapl", "our-lab")
    )
    config = read_toml(tmp_path / "run.toml", RunConfig)
    (task,) = config.asked()
    assert task.labels == ("healthy", "CML")
    assert config.described("our-lab").tasks == (task,)


def test_a_data_set_of_no_catalogue_needs_an_own_task(tmp_path):
    (tmp_path / "run.toml").write_text(GOOD.replace("aml-deepapl", "our-lab"))
    with pytest.raises(PermanentError, match="our-lab"):
        read_toml(tmp_path / "run.toml", RunConfig).described("our-lab")


def test_a_fold_s_teachers_and_start_are_of_the_same_fold():
    config = RunConfig.model_validate(
        tomllib.loads(GOOD) | {"teachers": ["a", "b"], "starts_from": "c"}
    )
    folded = config.for_fold(3)
    assert (folded.name, folded.fold) == ("one.fold-3", 3)
    assert folded.teachers == ("a.fold-3", "b.fold-3")
    assert folded.starts_from == "c.fold-3"
    assert RunConfig.model_validate(tomllib.loads(GOOD)).for_fold(0).starts_from == ""


def test_there_is_no_fold_beyond_the_last():
    with pytest.raises(PermanentError, match="no part 5"):
        RunConfig.model_validate(tomllib.loads(GOOD)).for_fold(5)
