"""Manifests become samples: labels of each task, groups, boxes, and what is refused."""

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import read_samples

AML = ("file", "label", "split", "group", "diagnosis")


def manifest(folder, columns, *rows):
    lines = ["\t".join(columns), *("\t".join(row) for row in rows)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_promonocyte_is_fine_labelled_and_merged_into_the_blasts(tmp_path):
    folder = manifest(tmp_path, AML, ("a.jpg", "promonocyte", "train", "P1", "AML-nonAPL"))
    (one,) = read_samples(KNOWN["aml-deepapl"], folder)
    assert one.labels == {"cell-fine": "promonocyte", "cell-class": "blast", "apl": "AML-nonAPL"}


def test_a_mature_cell_is_not_asked_whether_the_patient_has_apl(tmp_path):
    folder = manifest(tmp_path, AML, ("a.jpg", "eosinophil", "train", "P1", "APL"))
    (one,) = read_samples(KNOWN["aml-deepapl"], folder)
    assert "apl" not in one.labels


def test_each_boxed_white_cell_is_a_sample_and_red_cells_are_none(tmp_path):
    row = ("a.jpg", "monocyte", "train", "s1", "monocyte:1,2,30,40;RBC:5,5,9,9;monocyte:50,2,80,40")
    folder = manifest(tmp_path, ("file", "label", "split", "group", "bbox"), row)
    samples = read_samples(KNOWN["chula-wbc5"], folder)
    assert [one.box for one in samples] == [Box(1, 2, 30, 40), Box(50, 2, 80, 40)]


def test_two_cells_in_a_field_with_one_class_stay_unlabelled(tmp_path):
    columns = ("file", "label", "split", "group", "wbc_class", "n_wbc", "bbox")
    row = ("a.jpg", "field", "train", "c1", "neutrophil", "2", "WBC:1,2,30,40;WBC:5,5,9,9")
    samples = read_samples(KNOWN["bccd"], manifest(tmp_path, columns, row))
    assert [one.labels for one in samples] == [{}, {}]


def test_a_label_that_no_task_knows_is_refused_with_its_line(tmp_path):
    folder = manifest(tmp_path, AML, ("a.jpg", "hairy-cell", "train", "P1", "APL"))
    with pytest.raises(PermanentError, match=r"line 2.*hairy-cell"):
        read_samples(KNOWN["aml-deepapl"], folder)


def test_a_broken_box_is_refused_with_its_line(tmp_path):
    columns = ("file", "label", "split", "group", "bbox")
    folder = manifest(tmp_path, columns, ("a.jpg", "monocyte", "train", "s1", "monocyte:1,2,3"))
    with pytest.raises(PermanentError, match="line 2") as refused:
        read_samples(KNOWN["chula-wbc5"], folder)
    assert refused.value.reason == "manifest-box"


def test_a_missing_group_column_is_named(tmp_path):
    folder = manifest(tmp_path, ("file", "label", "split"), ("a.jpg", "blast", "train"))
    with pytest.raises(PermanentError, match="group"):
        read_samples(KNOWN["aml-deepapl"], folder)


def test_a_folder_without_manifest_is_no_data_set(tmp_path):
    with pytest.raises(PermanentError) as refused:
        read_samples(KNOWN["aml-deepapl"], tmp_path)
    assert refused.value.reason == "manifest-missing"
