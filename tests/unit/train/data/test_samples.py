"""Manifests become samples: labels of each task, groups, boxes, and what is refused."""

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.samples import labels_in, read_samples

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


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("aml-deepapl", "diagnosis"),
        ("chula-wbc5", "bbox"),
        ("bccd", "n_wbc, wbc_class, bbox"),
        ("all-taleqani", "overlap_group"),
        ("pbc", "fine"),
        ("bloodmnist", "um_per_px"),
        ("raabin-wbc", "um_per_px"),
        ("aml-lmu", "um_per_px"),
    ],
)
def test_a_column_that_a_known_set_needs_is_named_with_the_set(tmp_path, name, lacking):
    columns = ("file", "label", "split", "group")
    folder = manifest(tmp_path, columns, ("a.jpg", "monocyte", "train", "P1"))
    with pytest.raises(PermanentError, match=f"no column {lacking}\\.") as refused:
        read_samples(KNOWN[name], folder)
    assert refused.value.reason == "manifest-column"
    assert f"is read as {name}, " in str(refused.value)


def test_a_row_that_is_cut_short_is_no_sample(tmp_path):
    folder = manifest(tmp_path, AML, ("a.jpg", "blast", "train", "P1", "APL"), ("b.jpg", "blast"))
    with pytest.raises(PermanentError, match="line 3: too few columns") as refused:
        read_samples(KNOWN["aml-deepapl"], folder)
    assert refused.value.reason == "manifest-column"
    with pytest.raises(PermanentError, match="line 3: too few columns"):
        labels_in(folder)


@pytest.mark.parametrize("column", ["file", "label", "split", "group"])
def test_a_row_with_an_empty_value_is_no_sample(tmp_path, column):
    row = {"file": "a.jpg", "label": "blast", "split": "train", "group": "P1", "diagnosis": "APL"}
    folder = manifest(tmp_path, AML, tuple((row | {column: ""}).values()))
    with pytest.raises(PermanentError, match=f"line 2: {column} is empty") as refused:
        read_samples(KNOWN["aml-deepapl"], folder)
    assert refused.value.reason == "manifest-value"


@pytest.mark.parametrize("scale", ["", "0,1", "0", "-0.1", "nan", "inf"])
def test_a_scale_that_is_none_is_refused_with_its_line(tmp_path, scale):
    columns = ("file", "label", "split", "group", "um_per_px")
    folder = manifest(tmp_path, columns, ("a.png", "monocyte", "train", "g", scale))
    with pytest.raises(PermanentError, match="line 2: um_per_px") as refused:
        read_samples(KNOWN["bloodmnist"], folder)
    assert refused.value.reason == "manifest-value"


def test_a_label_that_munich_has_not_is_refused_with_its_line(tmp_path):
    columns = ("file", "label", "split", "group", "um_per_px")
    folder = manifest(tmp_path, columns, ("a.png", "hairy-cell", "val", "g", "0.1"))
    with pytest.raises(PermanentError, match=r"line 2.*hairy-cell") as refused:
        read_samples(KNOWN["aml-lmu"], folder)
    assert refused.value.reason == "unknown-label"


def test_a_manifest_of_another_encoding_is_refused(tmp_path):
    manifest(tmp_path, AML, ("a.jpg", "blast", "train", "P1", "APL"))
    text = (tmp_path / "manifest.tsv").read_text().replace("P1", "Müller")
    (tmp_path / "manifest.tsv").write_text(text, encoding="latin-1")
    with pytest.raises(PermanentError, match="line 2, is not UTF-8") as refused:
        read_samples(KNOWN["aml-deepapl"], tmp_path)
    assert refused.value.reason == "manifest-text"


def test_a_manifest_out_of_a_spreadsheet_is_read(tmp_path):
    manifest(tmp_path, AML, ("a.jpg", "blast", "train", "Müller", "APL"))
    text = (tmp_path / "manifest.tsv").read_text()
    (tmp_path / "manifest.tsv").write_text(text, encoding="utf-8-sig")
    (one,) = read_samples(KNOWN["aml-deepapl"], tmp_path)
    assert one.groups == ("aml-deepapl/group=Müller",)


def test_a_manifest_without_a_row_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="lists no picture or cell") as refused:
        read_samples(KNOWN["aml-deepapl"], manifest(tmp_path, AML))
    assert refused.value.reason == "no-samples"


TXL = ("file", "label", "split", "group", "n_wbc", "bbox")


def frames(folder, *classes):
    rows = [(f"{n}.jpg", "pbc", "train", "c1", "1", "WBC:1,2,30,40") for n in range(3)]
    manifest(folder, TXL, *rows)
    if classes:
        lines = ["file\tlabel\tpbc_group\tuse", *("\t".join(row) for row in classes)]
        (folder / "recovered-classes.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_class_that_was_found_later_counts_with_the_group_that_came_with_it(tmp_path):
    folder = frames(tmp_path, ("0.jpg", "monocyte", "a05", "train or val"))
    found, unknown, _ = read_samples(KNOWN["txl-pbc"], folder)
    assert found.labels == {"cell-fine": "monocyte", "cell-class": "monocyte"}
    assert found.groups == ("txl-pbc/group=c1", "pbc-acevedo/group=a05")
    assert (unknown.labels, unknown.groups) == ({}, ("txl-pbc/group=c1",))


def test_a_picture_that_others_judge_by_is_no_sample(tmp_path):
    folder = frames(tmp_path, ("1.jpg", "monocyte", "a05", "detection only"))
    names = [one.path.name for one in read_samples(KNOWN["txl-pbc"], folder)]
    assert names == ["0.jpg", "2.jpg"]


def test_without_the_further_file_no_class_is_known(tmp_path):
    assert [one.labels for one in read_samples(KNOWN["txl-pbc"], frames(tmp_path))] == [{}] * 3


def test_further_cells_bear_the_groups_of_the_set_that_has_their_patients(tmp_path):
    folder = manifest(tmp_path, AML, ("a.jpg", "blast", "train", "P1", "APL"))
    (one,) = read_samples(KNOWN["aml-deepapl-more"], folder)
    assert one.groups == ("aml-deepapl/group=P1",)


@pytest.mark.parametrize("label", ["plasma-cell", "platelet"])
def test_what_merges_into_no_class_is_fine_labelled_only(tmp_path, label):
    folder = manifest(tmp_path, AML, ("a.jpg", label, "train", "P1", "APL"))
    (one,) = read_samples(KNOWN["aml-deepapl-more"], folder)
    assert one.labels == {"cell-fine": label}


def test_of_two_cells_in_a_frame_nobody_says_whose_class_it_is(tmp_path):
    two = ("0.jpg", "pbc", "train", "c1", "2", "WBC:1,2,30,40;WBC:50,2,80,40")
    manifest(tmp_path, TXL, two)
    table = "file\tlabel\tpbc_group\tuse\n0.jpg\tmonocyte\ta05\ttrain or val\n"
    (tmp_path / "recovered-classes.tsv").write_text(table)
    assert [one.labels for one in read_samples(KNOWN["txl-pbc"], tmp_path)] == [{}, {}]


def test_a_neighbour_whose_box_names_its_class_has_that_class(tmp_path):
    row = ("a.jpg", "lymphocyte", "train", "s1", "lymphocyte:1,2,30,40;eosinophil:50,2,80,40")
    folder = manifest(tmp_path, ("file", "label", "split", "group", "bbox"), row)
    labels = [one.labels["cell-class"] for one in read_samples(KNOWN["chula-wbc5"], folder)]
    assert labels == ["lymphocyte", "eosinophil"]
