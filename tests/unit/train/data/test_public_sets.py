"""Public data sets as they are published: labels, patients, splits, and what is refused."""

import csv
import os
from collections import defaultdict

import cv2
import numpy as np
import pytest

from drawn_public_sets import blood_mnist, draw
from hemaline_shared.errors import PermanentError
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.public_sets.adopt import adopt_public
from hemaline_train.data.public_sets.known import PUBLIC
from hemaline_train.data.public_sets.lookalikes import group_lookalikes
from hemaline_train.data.samples import read_samples


def rows(folder):
    with (folder / "manifest.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def labels(folder, task):
    samples = read_samples(KNOWN[folder.name], folder)
    return {sample.path.name: sample.labels.get(task) for sample in samples}


@pytest.fixture
def c_nmc(tmp_path):
    folder = tmp_path / "c-nmc"
    for subject in range(1, 21):
        for cell in range(2):
            fold = folder / "C-NMC_training_data" / f"fold_{subject % 3}"
            draw(fold / "all" / f"UID_{subject}_{cell}_1_all.bmp", seed=subject * 10 + cell)
            draw(fold / "hem" / f"UID_H{subject}_{cell}_1_hem.bmp", seed=subject * 10 + cell + 500)
    return folder


def preliminary_test(folder, *subjects):
    part = folder / "C-NMC_test_prelim_phase_data"
    lines = ["Patient_ID,new_names,labels"]
    for number, subject in enumerate(subjects, start=1):
        draw(part / "C-NMC_test_prelim_phase_data" / f"{number}.bmp", seed=9000 + number)
        healthy = subject.startswith("H")
        kind = "hem" if healthy else "all"
        lines.append(f"UID_{subject}_3_1_{kind}.bmp,{number}.bmp,{int(not healthy)}")
    (part / "C-NMC_test_prelim_phase_data_labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_every_public_set_declares_what_the_catalogue_lists():
    for name, public in PUBLIC.items():
        one = KNOWN[name]
        assert one is public.data_set
        assert all([one.title, one.licence, one.source, one.obtain, one.traps, one.tasks])
        assert one.group_columns == ("group",)


def test_a_c_nmc_subject_is_on_one_side_only(c_nmc):
    adopt_public("c-nmc", c_nmc)
    sides = defaultdict(set)
    for row in rows(c_nmc):
        sides[row["group"]].add(row["split"])
    assert len(sides) == 40
    assert all(len(side) == 1 for side in sides.values())
    assert {"train", "val"} == set().union(*sides.values())


def test_c_nmc_s_own_test_part_judges_and_its_subjects_are_not_trained_on(c_nmc):
    adopted = adopt_public("c-nmc", preliminary_test(c_nmc, "57", "H49", "3"))
    judged = {row["group"] for row in rows(c_nmc) if row["split"] == "val"}
    assert judged == {"subject-57", "subject-H49", "subject-3"}
    assert adopted.dropped == 2
    assert labels(c_nmc, "all-cell")["2.bmp"] == "healthy"


def test_a_healthy_subject_spelt_two_ways_is_one(c_nmc):
    draw(c_nmc / "fold_0" / "hem" / "UID_h7_9_9_hem.bmp", seed=77)
    assert adopt_public("c-nmc", c_nmc).groups == 40


def test_a_c_nmc_cell_without_subject_is_refused(c_nmc):
    draw(c_nmc / "fold_0" / "all" / "cell.bmp", seed=1)
    with pytest.raises(PermanentError, match=r"cell\.bmp") as refused:
        adopt_public("c-nmc", c_nmc)
    assert refused.value.reason == "no-group"


def test_a_c_nmc_table_that_names_a_missing_image_is_refused(c_nmc):
    preliminary_test(c_nmc, "57", "H49")
    next(c_nmc.rglob("2.bmp")).unlink()
    with pytest.raises(PermanentError) as refused:
        adopt_public("c-nmc", c_nmc)
    assert refused.value.reason == "public-layout"


def test_all_idb1_s_last_digit_is_the_label_and_its_centroids_are_kept(tmp_path):
    folder = tmp_path / "all-idb1"
    draw(folder / "ALL_IDB1" / "im" / "Im001_1.jpg", seed=1)
    draw(folder / "ALL_IDB1" / "im" / "Im040_0.jpg", seed=2)
    (folder / "ALL_IDB1" / "xyc").mkdir()
    (folder / "ALL_IDB1" / "xyc" / "Im001_1.xyc").write_text("446\t164\n168\t442\n")
    (folder / "ALL_IDB1" / "xyc" / "Im040_0.xyc").write_text("")
    adopt_public("all-idb1", folder)
    assert labels(folder, "all-field") == {"Im001_1.jpg": "ALL", "Im040_0.jpg": "healthy"}
    assert [row["centroids"] for row in rows(folder)] == ["446,164;168,442", ""]


def test_a_broken_centroid_file_is_named(tmp_path):
    folder = tmp_path / "all-idb1"
    draw(folder / "im" / "Im001_1.jpg", seed=1)
    (folder / "Im001_1.xyc").write_text("446 here\n")
    with pytest.raises(PermanentError, match=r"Im001_1\.xyc"):
        adopt_public("all-idb1", folder)


def test_all_idb2_reads_cells(tmp_path):
    folder = tmp_path / "all-idb2"
    draw(folder / "img" / "Im001_1.tif", seed=1)
    draw(folder / "img" / "Im131_0.tif", seed=2)
    adopt_public("all-idb2", folder)
    assert labels(folder, "all-cell") == {"Im001_1.tif": "ALL", "Im131_0.tif": "healthy"}


@pytest.fixture
def lmu(tmp_path):
    folder = tmp_path / "aml-lmu"
    for number, code in enumerate(("BAS", "LYA", "MOB", "MYO", "MYB", "PMB", "KSC")):
        draw(folder / "AML-Cytomorphology_LMU" / code / f"{code}_0001.tiff", seed=number)
    (folder / "annotations.dat").write_text(
        "BAS/BAS_0001.tiff BAS nan nan\nMYO/MYO_0001.tiff MYO MOB MYO\n"
    )
    return folder


def test_lmu_s_codes_become_fine_and_merged_labels(lmu):
    adopt_public("aml-lmu", lmu)
    fine, merged = labels(lmu, "cell-fine"), labels(lmu, "cell-class")
    assert fine["MYB_0001.tiff"] == "myelocyte"
    assert merged["MYB_0001.tiff"] == merged["PMB_0001.tiff"] == "immature-granulocyte"
    assert fine["MOB_0001.tiff"] == fine["MYO_0001.tiff"] == "blast"
    assert (fine["LYA_0001.tiff"], merged["LYA_0001.tiff"]) == ("lymphocyte-variant", "lymphocyte")


def test_lmu_s_later_readings_are_kept(lmu):
    adopt_public("aml-lmu", lmu)
    again = {row["code"]: row["again"] for row in rows(lmu)}
    assert (again["MYO"], again["BAS"], again["KSC"]) == ("MOB,MYO", "nan,nan", "")


def test_a_set_without_patients_judges_as_a_whole_and_says_so(lmu):
    adopted = adopt_public("aml-lmu", lmu)
    assert {row["split"] for row in rows(lmu)} == {"val"}
    assert "No patients are published" in adopted.caution


def test_a_set_without_patients_is_split_by_look_only_if_asked_to(tmp_path):
    folder = tmp_path / "all-idb2"
    for number in range(40):
        draw(folder / f"Im{number:03d}_{number % 2}.tif", seed=number)
    copy = cv2.imread(str(folder / "Im000_0.tif"))
    cv2.imwrite(str(folder / "Im900_0.tif"), cv2.GaussianBlur(copy, (3, 3), 0))
    adopt_public("all-idb2", folder, val_share=0.5)
    found = {row["file"]: row for row in rows(folder)}
    assert {row["split"] for row in found.values()} == {"train", "val"}
    assert found["Im000_0.tif"]["group"] == found["Im900_0.tif"]["group"]
    assert len({row["group"] for row in found.values()}) == 40


def test_pbc_s_file_names_say_more_than_its_folders(tmp_path):
    folder = tmp_path / "pbc"
    files = {
        "ig": ("PMY_1", "IG_2"),
        "neutrophil": ("SNE_3", "NEUTROPHIL_4"),
        "platelet": ("PLATELET_5",),
    }
    for seed, (kind, names) in enumerate(files.items()):
        for number, name in enumerate(names):
            draw(folder / "PBC_dataset_normal_DIB" / kind / f"{name}.jpg", seed * 10 + number)
    (folder / "PBC_dataset_normal_DIB" / "neutrophil" / ".DS_169665.jpg").touch()
    adopt_public("pbc", folder)
    assert labels(folder, "cell-fine") == {
        "PMY_1.jpg": "promyelocyte",
        "IG_2.jpg": None,
        "SNE_3.jpg": "neutrophil-segmented",
        "NEUTROPHIL_4.jpg": None,
    }
    assert set(labels(folder, "cell-class").values()) == {"immature-granulocyte", "neutrophil"}


def test_bloodmnist_is_unpacked_in_its_published_parts_without_platelets(tmp_path):
    folder = blood_mnist(tmp_path / "bloodmnist")
    adopt_public("bloodmnist", folder)
    found = {(row["split"], row["label"]) for row in rows(folder)}
    assert found == {
        ("train", "basophil"),
        ("train", "immature-granulocyte"),
        ("train", "neutrophil"),
        ("val", "eosinophil"),
        ("val", "lymphocyte"),
        ("test", "monocyte"),
        ("test", "erythroblast"),
    }
    (image,) = (folder / row["file"] for row in rows(folder) if row["label"] == "basophil")
    stored = np.load(folder / "bloodmnist.npz")["train_images"][0]
    assert np.array_equal(cv2.imread(str(image))[..., ::-1], stored)


def test_the_largest_bloodmnist_is_taken_at_its_scale(tmp_path):
    folder = blood_mnist(blood_mnist(tmp_path / "bloodmnist", side=28), side=64)
    adopt_public("bloodmnist", folder)
    (scale,) = {one.um_per_px for one in read_samples(KNOWN["bloodmnist"], folder)}
    assert scale == pytest.approx(0.096 * 200 / 64, abs=1e-4)


def test_a_file_that_is_no_bloodmnist_is_refused(tmp_path):
    folder = tmp_path / "bloodmnist"
    folder.mkdir()
    np.savez(folder / "bloodmnist.npz", other=np.zeros(3))
    with pytest.raises(PermanentError) as refused:
        adopt_public("bloodmnist", folder)
    assert refused.value.reason == "public-layout"


@pytest.fixture
def raabin(tmp_path):
    folder = tmp_path / "raabin-wbc"
    for seed, (part, kind, name) in enumerate(
        (
            ("Train", "Basophil", "20190526_162951_0"),
            ("Train", "Neutrophil", "20190526_162951_1"),
            ("Train", "Monocyte", "20190527_101010_0"),
            ("TestA", "Eosinophil", "20190528_101010_0"),
            ("TestB", "Lymphocyte", "b17"),
        )
    ):
        draw(folder / part / kind / f"{name}.jpg", seed)
    return folder


def test_raabin_keeps_its_parts_and_groups_a_photograph(raabin):
    adopt_public("raabin-wbc", raabin)
    found = {row["label"]: row for row in rows(raabin)}
    assert [found[kind]["split"] for kind in ("basophil", "eosinophil", "lymphocyte")] == [
        "train",
        "test-a",
        "test-b",
    ]
    assert found["basophil"]["group"] == found["neutrophil"]["group"]
    assert found["basophil"]["group"] != found["monocyte"]["group"]


def test_an_image_that_judges_under_another_name_is_not_trained_on(raabin):
    twin = (raabin / "TestA" / "Eosinophil" / "20190528_101010_0.jpg").read_bytes()
    (raabin / "Train" / "Eosinophil").mkdir()
    (raabin / "Train" / "Eosinophil" / "twin.jpg").write_bytes(twin)
    assert adopt_public("raabin-wbc", raabin).dropped == 1
    assert "twin.jpg" not in {row["file"].rpartition("/")[2] for row in rows(raabin)}


def test_aria_s_segmented_copies_are_left_out(tmp_path):
    folder = tmp_path / "aria-all"
    draw(folder / "Original" / "Early" / "WBC-Malignant-Early-001.jpg", seed=1)
    draw(folder / "Original" / "Benign" / "WBC-Benign-001.jpg", seed=2)
    draw(folder / "Segmented" / "Early" / "WBC-Malignant-Early-001.jpg", seed=3)
    adopt_public("aria-all", folder)
    found = read_samples(KNOWN["aria-all"], folder)
    assert [one.labels["all-subtype"] for one in found] == ["benign", "early-pre-b"]
    assert all("Segmented" not in one.path.parts for one in found)


def test_the_folder_must_have_the_set_s_name(tmp_path):
    draw(tmp_path / "downloads" / "Im001_1.tif", seed=1)
    with pytest.raises(PermanentError, match="Rename") as refused:
        adopt_public("all-idb2", tmp_path / "downloads")
    assert refused.value.reason == "folder-name"


def test_a_folder_of_another_layout_is_told_what_was_expected(tmp_path):
    folder = tmp_path / "c-nmc"
    draw(folder / "cells" / "a.bmp", seed=1)
    with pytest.raises(PermanentError, match="UID_<subject>") as refused:
        adopt_public("c-nmc", folder)
    assert refused.value.reason == "no-pictures"


def test_an_existing_manifest_of_a_public_set_stays(tmp_path):
    folder = tmp_path / "all-idb2"
    draw(folder / "Im001_1.tif", seed=1)
    (folder / "manifest.tsv").write_text("mine")
    with pytest.raises(PermanentError):
        adopt_public("all-idb2", folder)
    assert (folder / "manifest.tsv").read_text() == "mine"


def test_a_public_set_s_file_whose_name_is_not_utf_8_is_refused(tmp_path):
    folder = tmp_path / "all-idb2"
    draw(folder / "Im001_1.tif", seed=1)
    (folder / os.fsdecode(b"Im002_1 \xe4.tif")).touch()
    with pytest.raises(PermanentError, match=r"Im002_1 \\xe4") as refused:
        adopt_public("all-idb2", folder)
    assert refused.value.reason == "file-name"


def test_an_unknown_public_set_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(PermanentError, match="c-nmc"):
        adopt_public("lisc", tmp_path)


def test_pictures_are_joined_through_a_third_that_both_resemble():
    dice = np.random.default_rng(0)
    first = dice.integers(0, 2, 256).astype(np.float32)
    second, third = first.copy(), first.copy()
    second[:20] = 1 - second[:20]
    third[:40] = 1 - third[:40]
    stranger = 1 - first
    names = group_lookalikes(np.stack([first, stranger, third, second]), ["", "", "", ""])
    assert names[0] == names[2] == names[3] != names[1]
