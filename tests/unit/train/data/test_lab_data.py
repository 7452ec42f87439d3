"""A lab's own folder of classes: its manifest, its patients, and what is refused."""

import csv

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_train.data.lab_data import adopt, lab_data_set
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
    counts = adopt(folder_of_classes(tmp_path), PATIENT, 0.2)
    assert counts == {"ALL": 80, "healthy": 80}
    assert {row["label"] for row in rows(tmp_path)} == {"ALL", "healthy"}


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
