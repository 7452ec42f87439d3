"""Which checkpoints are judged together, and on what device."""

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_shared.errors import PermanentError
from hemaline_train.judging.ranks import joined_rank
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.cross_validation import judge_checkpoints, refuse_other_runs

RUN = RunConfig(
    name="one",
    architecture="resnet34",
    tasks={"apl": 1.0},
    data_sets={"aml-deepapl": 1.0},
    teachers=("a",),
    starts_from="b",
)


def test_the_folds_of_one_run_are_judged_together():
    refuse_other_runs([RUN.for_fold(fold) for fold in range(5)])


def test_folds_of_different_runs_are_refused_with_what_differs():
    other = RUN.model_copy(update={"epochs": 3, "seed": 1, "name": "two"}).for_fold(1)
    with pytest.raises(PermanentError, match="differ in seed, epochs") as refused:
        refuse_other_runs([RUN.for_fold(0), other])
    assert refused.value.reason == "folds"


def test_a_device_that_there_is_not_is_refused_by_training_and_judging(tmp_path):
    for asked in (lambda: judge_checkpoints([], tmp_path, tmp_path, "gpu"), lambda: enter("gpu")):
        with pytest.raises(PermanentError, match="'gpu': say --device cpu or --device cuda"):
            asked()


def test_judging_does_not_replace_a_gpu_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PermanentError) as refused:
        judge_checkpoints([tmp_path / "checkpoint.pt"], tmp_path, tmp_path, "cuda")
    assert refused.value.reason == "no-gpu"


def enter(device):
    with joined_rank(device):
        pass
