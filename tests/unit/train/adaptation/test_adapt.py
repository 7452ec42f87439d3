"""`hemaline-train adapt`: from a bundle and a laboratory's cells to its own, or a refusal."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from typer.testing import CliRunner

from adaptable_bundle import adaptable_bundle, lab_folder
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Manifest
from hemaline_train.adaptation.adapt import LabFolders, adapt
from hemaline_train.adaptation.lab_cells import allowed_labels, read_lab_cells
from hemaline_train.bundles.bundle import read_bundle
from hemaline_train.cli import app
from hemaline_train.data.tasks import CELL_CLASS, CELL_FINE
from hemaline_train.reports.card import CardFacts, render_card
from hemaline_train.reports.evaluate import answer

TRUE = {"blast": "blast", "lymphocyte": "lymphocyte"}
SWAPPED = {"blast": "lymphocyte", "lymphocyte": "blast"}
PATIENTS = dict.fromkeys(("P1", "P2", "P3", "val4"), TRUE)


@pytest.fixture
def shipped(tmp_path):
    return adaptable_bundle(tmp_path / "shipped-1")


def run(*arguments):
    answered = CliRunner().invoke(app, [str(one) for one in arguments], terminal_width=200)
    return answered.exit_code, " ".join(answered.output.split())


def adapted(shipped, folder, tmp_path, *, beside=(), **options):
    said = []
    curve = adapt(
        shipped, LabFolders(folder, 0.1, beside), tmp_path / "ours-1", tmp_path / "cache",
        said.append, resamples=20, **options,
    )  # fmt: skip
    return curve, said


def test_a_laboratory_s_cells_are_named_and_the_bundle_can_be_served(shipped, tmp_path):
    folder = lab_folder(tmp_path / "lab", PATIENTS)
    curve, _ = adapted(shipped, folder, tmp_path)
    assert [point.count for point in curve] == [0, 5, None]
    assert curve[0].accuracy.value < 0.6
    assert curve[-1].accuracy.value == 1.0
    load_bundle(tmp_path / "ours-1")
    judged = answer(
        read_bundle(tmp_path / "ours-1"), folder, "val", tmp_path / "cache", um_per_px=0.1
    )
    (named,) = [one for one in judged if one.task == CELL_CLASS]
    given = named.answers["average"].argmax(axis=1)
    assert [CELL_CLASS.labels[place] for place in given] == ["blast"] * 3 + ["lymphocyte"] * 3


def test_the_manifest_says_what_was_learned_from_and_how_often_it_errs(shipped, tmp_path):
    adapted(shipped, lab_folder(tmp_path / "lab", PATIENTS), tmp_path)
    manifest = json.loads((tmp_path / "ours-1" / "manifest.json").read_text())
    told = manifest["provenance"]["adapted"]
    assert told["from"] == "shipped-1"
    assert told["data_set"] == "lab"
    assert told["cells"] == {"blast": 9, "lymphocyte": 9}
    assert told["groups"] == 4
    assert len(told["learning_curve"]) == 3
    cells, fine, apl = manifest["tasks"]
    assert cells["confusion"]["counts"]["blast"] == {"blast": 12}
    assert cells["confusion"]["patients"] == 4
    assert apl["operating_points"] == {"AML-nonAPL": 0.4, "APL": 0.4}
    assert fine["operating_points"]["promyelocyte"] == 0.4


def test_what_was_learned_from_counts_as_seen_and_the_rest_does_not(shipped, tmp_path):
    folder = lab_folder(tmp_path / "lab", PATIENTS)
    adapted(shipped, folder, tmp_path)
    ours = read_bundle(tmp_path / "ours-1")
    for split, seen in (("train", True), ("val", False)):
        one = answer(ours, folder, split, tmp_path / "cache")[0]
        assert (one.training_saw, one.trained_on) == (seen, True)
        assert {sample.um_per_px for sample in one.samples} == {0.1}


def test_other_questions_are_answered_as_before(shipped, tmp_path):
    adapted(shipped, lab_folder(tmp_path / "lab", PATIENTS), tmp_path)
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    before, after = (
        read_bundle(folder).logits(crops, tmp_path / "cache")
        for folder in (shipped, tmp_path / "ours-1")
    )
    for name, given in before.items():
        assert after[name][:, -2:] == pytest.approx(given[:, -2:], abs=1e-5)


def test_labels_that_nobody_gave_a_cell_are_told(shipped, tmp_path):
    _, said = adapted(shipped, lab_folder(tmp_path / "lab", PATIENTS), tmp_path)
    assert "To learn from: 9 of blast, 9 of lymphocyte." in said
    (caution,) = [one for one in said if one.startswith("No cell of")]
    assert "eosinophil" in caution


def test_where_it_makes_kept_back_patients_worse_no_bundle_is_written(shipped, tmp_path):
    # What one patient's cells teach is wrong of the other's.
    folder = lab_folder(tmp_path / "lab", {"P1": TRUE, "P2": SWAPPED})
    status, output = run(
        "adapt", folder, tmp_path / "ours-1", "--from", shipped,
        "--cache", tmp_path / "cache", "--um-per-px", 0.1, "--resamples", 20,
    )  # fmt: skip
    assert status == 1
    assert "would read this laboratory's patients worse" in output
    assert "No bundle is written: label more cells, of more patients" in output
    assert not (tmp_path / "ours-1").exists()


def test_a_gain_that_may_be_chance_is_refused_and_written_where_that_is_wished(shipped, tmp_path):
    # Of three patients there is no interval.
    folder = lab_folder(tmp_path / "lab", dict.fromkeys(("P1", "P2", "P3"), TRUE))
    with pytest.raises(PermanentError, match=r"so few patients give no interval.*--unproven"):
        adapted(shipped, folder, tmp_path)
    assert not (tmp_path / "ours-1").exists()
    adapted(shipped, folder, tmp_path, unproven=True)
    assert (tmp_path / "ours-1").exists()


def test_without_a_blast_nothing_is_taught(shipped, tmp_path):
    kinds = {"blast": "monocyte", "lymphocyte": "lymphocyte"}
    folder = lab_folder(tmp_path / "lab", dict.fromkeys(("P1", "P2", "P3", "P4"), kinds))
    with pytest.raises(PermanentError, match="No cell of blast was labelled") as refused:
        adapted(shipped, folder, tmp_path)
    assert refused.value.reason == "blasts-unguarded"


def test_cells_beside_keep_classes_that_the_laboratory_did_not_label(shipped, tmp_path):
    folder = lab_folder(tmp_path / "lab", PATIENTS)
    others = {"blast": "blast", "neutrophil-segmented": "neutrophil"}
    beside = lab_folder(tmp_path / "elsewhere", dict.fromkeys(("A", "B", "C", "D", "E"), others))
    _, said = adapted(shipped, folder, tmp_path, beside=[beside])
    manifest = json.loads((tmp_path / "ours-1" / "manifest.json").read_text())
    told = manifest["provenance"]["adapted"]
    assert told["cells"] == {"blast": 9, "lymphocyte": 9}
    assert set(told["beside"]) == {"elsewhere"}
    assert set(told["verdict"]["kept"]) == {"neutrophil"}
    assert told["verdict"]["kept"]["neutrophil"]["after"] == 1.0
    assert "neutrophil" not in told["verdict"]["unguarded"]
    assert manifest["tasks"][0]["confusion"]["counts"]["neutrophil"] == {"neutrophil": 15}
    assert any(one.startswith("neutrophil, of which no cell was labelled here") for one in said)
    card = render_card(Manifest.model_validate(manifest), CardFacts((), {}, {}))
    assert "The networks are those of shipped-1" in card
    assert "9 of blast, 9 of lymphocyte, of 4 patients" in card
    assert "out of elsewhere" in card
    assert "| neutrophil | 15 |" in card
    assert "| all | 1.000 (1.000 to 1.000) |" in card
    assert "**Not judged: immature-granulocyte, monocyte" in card


def test_at_its_end_the_curve_and_the_next_command_are_told(shipped, tmp_path):
    folder, new = lab_folder(tmp_path / "lab", PATIENTS), tmp_path / "ours-1"
    status, output = run(
        "adapt", folder, new, "--from", shipped, "--cache", tmp_path / "cache",
        "--um-per-px", 0.1, "--resamples", 20, "--json", tmp_path / "curve.json",
    )  # fmt: skip
    assert status == 0
    assert "0, as it ships" in output
    assert f"HEMALINE_BUNDLE={new} hemaline up" in output
    assert len(json.loads((tmp_path / "curve.json").read_text())) == 3


def test_with_one_patient_nobody_is_left_to_judge(shipped, tmp_path):
    folder = lab_folder(tmp_path / "lab", {"P1": TRUE})
    with pytest.raises(PermanentError, match="Label cells of a second one"):
        adapted(shipped, folder, tmp_path)


def test_classes_that_the_bundle_has_no_name_for_are_refused(shipped, tmp_path):
    kinds = {"blast": "healthy", "lymphocyte": "CLL"}
    folder = lab_folder(tmp_path / "lab", {"P1": kinds, "P2": kinds})
    with pytest.raises(PermanentError, match=r"none of the classes .* CLL, healthy"):
        adapted(shipped, folder, tmp_path)


def test_a_manifest_without_rows_to_train_on_is_refused(shipped, tmp_path):
    folder = lab_folder(tmp_path / "lab", {"val1": TRUE, "val2": TRUE})
    with pytest.raises(PermanentError, match="has the split train"):
        adapted(shipped, folder, tmp_path)


def test_a_bundle_that_is_there_is_not_written_over(shipped, tmp_path):
    (tmp_path / "ours-1").mkdir()
    with pytest.raises(PermanentError, match="is there already"):
        adapted(shipped, lab_folder(tmp_path / "lab", PATIENTS), tmp_path)


def test_patients_stay_whole_and_those_of_val_are_never_learned_from(shipped, tmp_path):
    folder = lab_folder(tmp_path / "lab", PATIENTS, cells=2)
    cells = read_lab_cells(read_bundle(shipped), folder, tmp_path / "cache", 0.1)
    owners = np.array(cells.groups)
    for owner in set(owners):
        assert len(set(cells.parts[owners == owner])) == 1
    for part in set(cells.parts.tolist()):
        drawn = cells.drawn(1, part, seed=0)
        assert len(drawn) == 2
        assert part not in cells.parts[drawn]
        assert not any(owner.endswith("val4") for owner in owners[drawn])


def test_a_coarse_label_may_be_any_of_its_fine_ones_and_a_fine_one_is_its_coarse_one(
    shipped, tmp_path
):
    kinds = {"blast": "neutrophil", "lymphocyte": "blast"}
    folder = lab_folder(tmp_path / "lab", {"P1": kinds, "P2": kinds}, cells=1)
    cells = read_lab_cells(read_bundle(shipped), folder, tmp_path / "cache", 0.1)
    may_be = allowed_labels(CELL_FINE, cells.samples)[0]
    assert [x for x, yes in zip(CELL_FINE.labels, may_be, strict=True) if yes] == [
        "neutrophil-band",
        "neutrophil-segmented",
    ]
    fine = lab_folder(
        tmp_path / "fine",
        {one: {"blast": "neutrophil-band", "lymphocyte": "myelocyte"} for one in ("P1", "P2")},
        cells=1,
    )
    cells = read_lab_cells(read_bundle(shipped), fine, tmp_path / "cache", 0.1)
    assert [CELL_CLASS.labels[place] for place in cells.classes[:2]] == [
        "neutrophil",
        "immature-granulocyte",
    ]
