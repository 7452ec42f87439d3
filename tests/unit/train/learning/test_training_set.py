"""What is trained on, what judges, and how often each label is drawn."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_shared.errors import PermanentError
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import Sample
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.training_set import draw, read_split, trained_mask, weights_of


def config(**changes):
    settings = {
        "name": "one",
        "architecture": "resnet34",
        "tasks": {"cell-class": 1.0},
        "data_sets": {"aml-deepapl": 0.75, "chula-wbc5": 0.25},
    }
    return RunConfig.model_validate(settings | changes)


def sample(label, patient, split="train", data_set="aml-deepapl"):
    groups = (f"{data_set}/{patient}",)
    return Sample(KNOWN[data_set], Path("a.jpg"), split, groups, None, 0.1, {"cell-class": label})


def cells():
    common = [sample("blast", f"P{number % 10}") for number in range(80)]
    rare = [sample("basophil", f"P{number % 10}") for number in range(20)]
    return common + rare


def test_the_manifests_split_decides_without_a_fold():
    samples = [sample("blast", "P1"), sample("blast", "P2", "val")]
    assert trained_mask(samples, config()).tolist() == [True, False]


def test_each_patient_judges_in_exactly_one_fold():
    samples = cells()
    judged = np.stack([~trained_mask(samples, config().for_fold(fold)) for fold in range(5)])
    assert (judged.sum(axis=0) == 1).all()
    for mask in judged:
        held = {one.groups[0] for one, use in zip(samples, mask, strict=True) if use}
        kept = {one.groups[0] for one, use in zip(samples, mask, strict=True) if not use}
        assert not held & kept


def test_a_fold_that_is_not_there_is_refused():
    with pytest.raises(PermanentError, match="no part 5"):
        config().for_fold(5)


def test_more_folds_than_groups_are_refused():
    samples = [sample("blast", f"P{number % 3}") for number in range(20)]
    with pytest.raises(PermanentError, match=r"3 groups .* too few for 5 folds") as refused:
        trained_mask(samples, config().for_fold(0))
    assert refused.value.reason == "folds"


def test_more_folds_than_pictures_of_any_label_are_refused():
    samples = [sample(label, f"{label}-{n}") for label in ("blast", "basophil") for n in range(3)]
    with pytest.raises(PermanentError, match="6 groups and at most 3 pictures of a label"):
        trained_mask(samples, config().for_fold(0))


def test_a_split_of_another_spelling_trains_nothing(tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "manifest.tsv").write_text(
        "file\tlabel\tgroup\tsplit\na.png\tyes\tP1\tTrain\nb.png\tno\tP2\tVal\n"
    )
    own = {"tasks": {"ours": 1.0}, "own_task": "ours", "own_labels": ["yes", "no"]}
    with pytest.raises(PermanentError, match=r"stands Train, Val, and only .* `train`") as refused:
        read_split(config(**own, data_sets={"ours": 1.0}), tmp_path)
    assert refused.value.reason == "no-samples"


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.2), (1.0, 0.5)])
def test_balance_decides_how_often_a_rare_label_is_drawn(balance, share):
    samples = cells()
    weights = weights_of(
        samples, np.ones(100, bool), config(balance=balance, data_sets={"aml-deepapl": 1.0})
    )
    assert float(weights[80:].sum()) == pytest.approx(share)


def test_data_sets_are_drawn_in_their_parts():
    samples = [*cells(), sample("monocyte", "s1", data_set="chula-wbc5")]
    weights = weights_of(samples, np.ones(101, bool), config())
    assert float(weights[-1]) == pytest.approx(0.25)


def test_what_judges_is_never_drawn():
    samples = cells()
    trained = np.arange(100) % 2 == 0
    weights = weights_of(samples, trained, config(data_sets={"aml-deepapl": 1.0}))
    drawn = draw(weights, 500, torch.Generator().manual_seed(0))
    assert trained[drawn.numpy()].all()
