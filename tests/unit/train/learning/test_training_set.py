"""What is trained on, what judges, and how often each label is drawn."""

from dataclasses import replace
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


def test_further_cells_of_a_patient_are_on_the_patient_s_side_in_every_fold():
    first, more = cells(), [sample("smudge", f"P{n}", data_set="aml-deepapl") for n in range(10)]
    more = [replace(one, data_set=KNOWN["aml-deepapl-more"]) for one in more]
    for fold in range(5):
        alone = trained_mask(first, config().for_fold(fold))
        joined = trained_mask(first + more, config().for_fold(fold))
        assert joined[: len(first)].tolist() == alone.tolist()
        side = dict(zip([one.groups[0] for one in first], alone.tolist(), strict=True))
        assert [side[one.groups[0]] for one in more] == joined[len(first) :].tolist()


def test_further_cells_of_a_patient_share_their_set_s_part_and_balance():
    first = [sample("blast", "P1"), sample("blast", "P2"), sample("smudge", "P1")]
    more = [replace(sample("smudge", "P1"), data_set=KNOWN["aml-deepapl-more"])]
    other = [sample("monocyte", "s1", data_set="chula-wbc5")]
    parts = {"aml-deepapl": 0.5, "aml-deepapl-more": 0.25, "chula-wbc5": 0.25}
    settings = config(data_sets=parts, balance=1.0)
    weights = weights_of(first + more + other, np.ones(5, bool), settings)
    assert weights.tolist() == pytest.approx([0.1875] * 4 + [0.25])


def test_a_picture_of_another_set_s_group_that_is_on_another_side_is_left_out(tmp_path):
    for name in ("pbc-acevedo", "txl-pbc"):
        (tmp_path / name).mkdir()
    (tmp_path / "pbc-acevedo" / "manifest.tsv").write_text(
        "file\tlabel\tgroup\tsplit\na.jpg\tmonocyte\ta1\ttrain\nb.jpg\tbasophil\ta2\tval\n"
    )
    rows = [f"{n}.jpg\tpbc\tc{n}\ttrain\t1\tWBC:1,2,30,40\n" for n in (1, 2)]
    (tmp_path / "txl-pbc" / "manifest.tsv").write_text(
        "file\tlabel\tgroup\tsplit\tn_wbc\tbbox\n" + "".join(rows)
    )
    (tmp_path / "txl-pbc" / "recovered-classes.tsv").write_text(
        "file\tlabel\tpbc_group\tuse\n"
        + "".join(f"{n}.jpg\tmonocyte\ta{n}\ttrain or val\n" for n in (1, 2))
    )
    split = read_split(config(data_sets={"pbc-acevedo": 0.5, "txl-pbc": 0.5}), tmp_path)
    kept = {one.path.name: bool(use) for one, use in zip(split.samples, split.trained, strict=True)}
    assert kept == {"a.jpg": True, "b.jpg": False, "1.jpg": True}


def test_a_run_may_take_the_labels_as_they_come(tmp_path):
    (tmp_path / "aml-deepapl").mkdir()
    (tmp_path / "aml-deepapl" / "manifest.tsv").write_text(
        "file\tlabel\tgroup\tsplit\tdiagnosis\n"
        "a.jpg\tblast\tP1\ttrain\tAPL\nb.jpg\tsmudge\tP1\ttrain\tAPL\n"
    )
    (tmp_path / "aml-deepapl" / "label_review.tsv").write_text(
        "data_set\tfile\tlabel\tverdict\tother\twhy\tby\n"
        "aml-deepapl\tb.jpg\tsmudge\tdrop\t\tno cell\tsomebody\n"
    )
    one = {"aml-deepapl": 1.0}
    assert len(read_split(config(data_sets=one), tmp_path).samples) == 1
    assert len(read_split(config(data_sets=one, reviewed=False), tmp_path).samples) == 2


def test_a_patient_on_both_sides_of_one_set_stays_there_for_the_check_on_leaks(tmp_path):
    (tmp_path / "aml-deepapl").mkdir()
    (tmp_path / "aml-deepapl" / "manifest.tsv").write_text(
        "file\tlabel\tgroup\tsplit\tdiagnosis\n"
        "a.jpg\tblast\tP1\ttrain\tAPL\nb.jpg\tblast\tP1\tval\tAPL\n"
    )
    assert len(read_split(config(data_sets={"aml-deepapl": 1.0}), tmp_path).samples) == 2
