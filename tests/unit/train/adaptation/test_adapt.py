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
from hemaline_train.adaptation.adapt import adapt
from hemaline_train.adaptation.lab_cells import allowed_labels, read_lab_cells
from hemaline_train.bundles.bundle import read_bundle
from hemaline_train.cli import app
from hemaline_train.data.tasks import CELL_CLASS, CELL_FINE
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


def adapted(shipped, folder, tmp_path, **options):
    said = []
    curve = adapt(
        shipped, folder, tmp_path / "ours-1", tmp_path / "cache", said.append,
        um_per_px=0.1, resamples=20, **options,
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
    assert "No bundle is written: label more cells, of more patients" in output
    assert not (tmp_path / "ours-1").exists()


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
