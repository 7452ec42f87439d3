"""A bundle that a lab trained on its own folder of classes: how that folder is read and judged."""

import json

import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")
pytest.importorskip("matplotlib", reason="make setup-train brings matplotlib")

from drawn_public_sets import draw
from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import read_bundle
from hemaline_train.data.lab_data import adopt
from hemaline_train.judging.markdown import evaluation_section
from hemaline_train.reports.evaluate import answer
from hemaline_train.reports.make_card import CardRequest, make_card
from parts.bundles import tiny_trained


@pytest.fixture
def lab(tmp_path):
    """Return a directory with a lab's set, all of which judges."""
    for number in range(8):
        kind = ("blast", "lymphocyte")[number % 2]
        draw(tmp_path / "data" / "our-lab" / kind / f"P{number // 2}_{number}.png", number, 224)
    adopt(tmp_path / "data" / "our-lab", "^([^_]+)_", 1.0)
    return tmp_path / "data"


@pytest.fixture
def bundle(tmp_path):
    """Return a bundle that says it was trained on the lab's set, at 0.2 µm a pixel."""
    folder = tiny_trained(tmp_path / "tiny-1")
    manifest = json.loads((folder / "manifest.json").read_text())
    config = {"name": "ours", "own_um_per_px": 0.2, "tasks": {}, "data_sets": {"our-lab": 1.0}}
    parity = {"crops": 1, "largest_difference": 0.0, "same_answers": 1}
    run = {"config": config | {"architecture": "resnet34"}, "parity": parity}
    manifest["provenance"] = {"runs": [run]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def scales(bundle, folder, tmp_path, **options):
    (answered,) = answer(read_bundle(bundle), folder, "val", tmp_path / "cache", **options)
    return {sample.um_per_px for sample in answered.samples}


def test_a_lab_s_own_set_is_judged_at_the_scale_at_which_it_was_trained_on(bundle, lab, tmp_path):
    assert scales(bundle, lab / "our-lab", tmp_path) == {0.2}


def test_another_scale_can_be_given(bundle, lab, tmp_path):
    assert scales(bundle, lab / "our-lab", tmp_path, um_per_px=0.1) == {0.1}


def test_a_set_that_training_never_saw_is_judged_by_its_own_red_cells(bundle, lab, tmp_path):
    (lab / "our-lab").rename(lab / "elsewhere")
    assert scales(bundle, lab / "elsewhere", tmp_path) == {None}


def test_a_bundle_of_a_lab_s_own_set_has_a_card(bundle, lab, tmp_path):
    request = CardRequest(bundle, lab, tmp_path / "cache", 'a "desk"', ("Few.",), resamples=10)
    card = make_card(request, tmp_path / "cards").read_text()
    assert "### cell-class on our-lab, split val" in card
    assert "--machine 'a \"desk\"' --remark Few." in card


def test_a_card_without_anything_to_judge_by_is_refused(bundle, tmp_path):
    with pytest.raises(PermanentError) as refused:
        make_card(CardRequest(bundle, tmp_path / "nowhere", tmp_path / "cache"), tmp_path)
    assert refused.value.reason == "no-samples"


def relabelled(folder, **changes):
    """Give the pictures of a folder's labels others."""
    manifest = folder / "manifest.tsv"
    text = manifest.read_text()
    for old, new in changes.items():
        text = text.replace(f"\t{old}\t", f"\t{new}\t")
    manifest.write_text(text)
    return folder


def judged(bundle, folder, tmp_path, split="val"):
    (answered,) = answer(read_bundle(bundle), folder, split, tmp_path / "cache")
    return answered


def test_a_label_that_the_bundle_was_not_taught_is_left_out_with_a_word(bundle, lab, tmp_path):
    folder = relabelled(lab / "our-lab", lymphocyte="eosinophil")
    answered = judged(bundle, folder, tmp_path)
    assert {one.labels["cell-class"] for one in answered.samples} == {"blast"}
    evaluation = answered.evaluation(resamples=0)
    assert evaluation.left_out == "Left out: 4 of eosinophil (tiny-1 was not taught that)."
    assert evaluation.left_out in evaluation_section(evaluation)
    assert evaluation.as_json()["left_out"] == evaluation.left_out


def test_what_is_no_white_cell_is_left_out_as_such(bundle, lab, tmp_path):
    answered = judged(bundle, relabelled(lab / "our-lab", lymphocyte="Platelets"), tmp_path)
    said = answered.evaluation(resamples=0).left_out
    assert said == "Left out: 4 of Platelets (no white cells)."


def test_fine_and_foreign_labels_are_judged_as_what_they_merge_into(bundle, lab, tmp_path):
    folder = relabelled(lab / "our-lab", lymphocyte="Reactive_lymphocyte", blast="promonocyte")
    answered = judged(bundle, folder, tmp_path)
    assert {one.labels["cell-class"] for one in answered.samples} == {"blast", "lymphocyte"}
    assert not answered.left_out


def test_a_folder_of_unknown_labels_alone_is_refused_by_name(bundle, lab, tmp_path):
    folder = relabelled(lab / "our-lab", lymphocyte="cat", blast="dog")
    with pytest.raises(PermanentError, match=r"not taught: cat, dog\. It knows blast") as refused:
        judged(bundle, folder, tmp_path)
    assert refused.value.reason == "unknown-label"


def test_any_split_name_can_be_judged_and_a_missing_one_is_refused_with_those_there(
    bundle, lab, tmp_path
):
    folder = relabelled(lab / "our-lab")
    manifest = folder / "manifest.tsv"
    manifest.write_text(manifest.read_text().replace("\tval", "\theld out"))
    assert len(judged(bundle, folder, tmp_path, "held out").samples) == 8
    with pytest.raises(PermanentError, match="Its splits are held out: name one") as refused:
        judged(bundle, folder, tmp_path)
    assert refused.value.reason == "no-samples"
