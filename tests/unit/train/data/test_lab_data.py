"""A lab's own folder of classes: its manifest, its patients, and what is refused."""

import csv
import os

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_train.data.lab_data import adopt, lab_data_set, side_of
from hemaline_train.data.samples import read_samples
from hemaline_train.data.tasks import Task

PATIENT = "^([^_]+)_"


def folder_of_classes(root, patients=40):
    for kind in ("ALL", "healthy"):
        (root / kind).mkdir(parents=True)
        for number in range(patients):
            (root / kind / f"{kind}{number}_a.png").touch()
            (root / kind / f"{kind}{number}_b.PNG").touch()
        (root / kind / "notes.txt").touch()
    return root


def rows(root):
    with (root / "manifest.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def test_each_picture_is_in_the_manifest_with_its_class(tmp_path):
    adopt(folder_of_classes(tmp_path), PATIENT, 0.2)
    kinds = [row["label"] for row in rows(tmp_path)]
    assert {kind: kinds.count(kind) for kind in kinds} == {"ALL": 80, "healthy": 80}


def test_each_class_s_pictures_and_patients_are_counted_on_both_sides(tmp_path):
    (all_split, _) = adopt(folder_of_classes(tmp_path), PATIENT, 0.2)
    judging = sum(side_of(f"ALL{number}", 0.2) == "val" for number in range(40))
    assert str(all_split) == (
        f"ALL: {80 - 2 * judging} pictures of {40 - judging} patients train, "
        f"{2 * judging} pictures of {judging} patients judge"
    )
    assert all_split.caution == ""


def test_a_patient_is_wholly_on_one_side(tmp_path):
    adopt(folder_of_classes(tmp_path), PATIENT, 0.2)
    sides = {}
    for row in rows(tmp_path):
        sides.setdefault(row["group"], set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    judged = sum(side == {"val"} for side in sides.values())
    assert 6 <= judged <= 26


def test_training_reads_the_manifest_that_was_written(tmp_path):
    adopt(folder_of_classes(tmp_path, 2), PATIENT, 0.5)
    task = Task("leukaemia", "cell", ("healthy", "ALL"))
    samples = read_samples(lab_data_set("lab", task, 0.1), tmp_path)
    assert [task.index(one.labels["leukaemia"]) for one in samples] == [1] * 4 + [0] * 4


def test_a_picture_without_a_patient_is_refused_by_name(tmp_path):
    folder_of_classes(tmp_path, 1)
    (tmp_path / "ALL" / "stray.png").touch()
    with pytest.raises(PermanentError, match=r"stray\.png") as refused:
        adopt(tmp_path, PATIENT, 0.2)
    assert refused.value.reason == "no-group"
    assert not (tmp_path / "manifest.tsv").exists()


def test_a_pattern_without_brackets_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="brackets"):
        adopt(folder_of_classes(tmp_path, 1), "ALL", 0.2)


def test_an_existing_manifest_stays(tmp_path):
    (tmp_path / "manifest.tsv").write_text("mine")
    with pytest.raises(PermanentError):
        adopt(folder_of_classes(tmp_path), PATIENT, 0.2)
    assert (tmp_path / "manifest.tsv").read_text() == "mine"


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "ALL").mkdir()
    with pytest.raises(PermanentError) as refused:
        adopt(tmp_path, PATIENT, 0.2)
    assert refused.value.reason == "no-pictures"


def test_a_patient_of_two_classes_is_on_one_side_in_both(tmp_path):
    for kind in ("blast", "monocyte"):
        (tmp_path / kind).mkdir()
        for number in range(12):
            (tmp_path / kind / f"P{number}_1.png").touch()
    adopt(tmp_path, PATIENT, 0.5)
    sides = {(row["group"], row["split"]) for row in rows(tmp_path)}
    assert len(sides) == 12
    assert {split for _, split in sides} == {"train", "val"}


@pytest.mark.parametrize(("split", "verb"), [("train", "judges"), ("val", "trains")])
def test_a_class_without_a_patient_on_one_side_is_told(tmp_path, split, verb):
    patients = [f"P{number}" for number in range(40) if side_of(f"P{number}", 0.2) == split][:2]
    (tmp_path / "ALL").mkdir()
    for patient in patients:
        (tmp_path / "ALL" / f"{patient}_1.png").touch()
    (all_split,) = adopt(tmp_path, PATIENT, 0.2)
    assert all_split.caution == (
        f"ALL has no patient that {verb}: choose another --val-share (remove the manifest first)."
    )


def test_a_class_of_one_patient_is_told_to_need_two(tmp_path):
    (tmp_path / "ALL").mkdir()
    (tmp_path / "ALL" / "P1_1.png").touch()
    (all_split,) = adopt(tmp_path, PATIENT, 0.0)
    assert str(all_split) == "ALL: 1 picture of 1 patient train, 0 pictures of 0 patients judge"
    assert all_split.caution.endswith("for it has one patient only: it needs two.")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PermanentError, match=r"nowhere is no folder") as refused:
        adopt(tmp_path / "nowhere", PATIENT, 0.2)
    assert refused.value.reason == "folder-missing"


def test_a_pattern_that_is_no_regular_expression_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="no regular expression") as refused:
        adopt(folder_of_classes(tmp_path, 1), "^([^_]+_", 0.2)
    assert refused.value.reason == "group-pattern"
    assert not (tmp_path / "manifest.tsv").exists()


def test_a_patient_that_the_pattern_leaves_out_is_refused(tmp_path):
    with pytest.raises(PermanentError, match=r"ALL0_a\.png") as refused:
        adopt(folder_of_classes(tmp_path, 1), r"^(X\d+)?", 0.2)
    assert refused.value.reason == "no-group"


def test_a_name_that_is_not_utf_8_is_refused_in_writing_that_can_be_shown(tmp_path):
    folder_of_classes(tmp_path, 1)
    (tmp_path / "healthy" / os.fsdecode(b"M\xfcller_1.png")).touch()
    with pytest.raises(PermanentError, match=r"M\\xfcller_1\.png") as refused:
        adopt(tmp_path, PATIENT, 0.2)
    assert refused.value.reason == "file-name"
    assert {path.name for path in tmp_path.iterdir()} == {"ALL", "healthy"}
