"""Samples become pixels: scale, mask, cache, and what cannot be read."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.lab_data import lab_data_set
from hemaline_train.data.prepare import pixels_of, prepare
from hemaline_train.data.samples import Sample
from hemaline_train.data.tasks import Task


def sample(path, data_set="chula-wbc5", box=None, um_per_px=0.1):
    return Sample(KNOWN[data_set], path, "train", ("g",), box, um_per_px, {})


def save(path, picture):
    assert cv2.imwrite(str(path), picture)
    return path


def test_a_boxed_cell_is_in_the_middle_of_its_crop_at_the_canonical_scale(tmp_path):
    field = np.full((400, 500, 3), 220, np.uint8)
    field[90:110, 290:310] = 0
    path = save(tmp_path / "a.png", field)
    crop = pixels_of(sample(path, box=Box(290, 90, 310, 110), um_per_px=0.2))
    dark = np.argwhere(crop[..., 0] < 100)
    assert crop.shape == (224, 224, 3)
    # Twenty pixels of 0.2 µm are forty of 0.1 µm.
    assert np.abs(dark.mean(axis=0) - 111.5).max() <= 2
    assert np.abs(np.ptp(dark, axis=0) - 40).max() <= 2


def test_a_cell_without_a_find_near_it_is_cut_from_the_middle(tmp_path):
    empty = np.full((360, 360, 3), 220, np.uint8)
    empty[170:190, 170:190] = (0, 200, 0)
    crop = pixels_of(sample(save(tmp_path / "a.png", empty), "aml-deepapl"))
    green = np.argwhere(crop[..., 0] < 100)
    assert np.abs(green.mean(axis=0) - 111.5).max() <= 2


def test_the_burnt_in_scale_bar_is_blanked(tmp_path):
    field = np.full((224, 224, 3), 200, np.uint8)
    field[200:, 200:] = 0
    crop = pixels_of(sample(save(tmp_path / "a.png", field), "all-taleqani"))
    assert crop.min() == 200


def test_a_sample_that_another_set_had_is_not_cut_again(tmp_path, monkeypatch):
    paths = [
        save(tmp_path / f"{n}.png", np.full((300, 300, 3), 90 + n, np.uint8)) for n in range(3)
    ]
    samples = [sample(path, box=Box(10, 10, 50, 50)) for path in paths]
    prepare(samples[:2], tmp_path / "cache")
    cut = []

    def watched(one):
        cut.append(one.path.name)
        return pixels_of(one)

    monkeypatch.setattr("hemaline_train.data.prepare.pixels_of", watched)
    joined = prepare([samples[2], samples[1]], tmp_path / "cache")
    assert cut == ["2.png"]
    assert [int(pixels.max()) for pixels in joined] == [92, 91]


def test_a_list_whose_pixels_are_gone_or_others_is_not_believed(tmp_path):
    paths = [
        save(tmp_path / f"{n}.png", np.full((300, 300, 3), 90 + n, np.uint8)) for n in range(2)
    ]
    samples = [sample(path, box=Box(10, 10, 50, 50)) for path in paths]
    prepare(samples, tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*.npy")
    np.save(file, np.zeros((1, 224, 224, 3), np.uint8))
    assert int(prepare(samples[:1], tmp_path / "cache").max()) == 90
    file.unlink()
    assert int(prepare(samples[1:], tmp_path / "cache").max()) == 91


def test_prepared_pixels_are_not_cut_again(tmp_path):
    path = save(tmp_path / "a.png", np.full((300, 300, 3), 200, np.uint8))
    samples = [sample(path, box=Box(10, 10, 50, 50))]
    first = prepare(samples, tmp_path / "cache")
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    assert np.array_equal(prepare(samples, tmp_path / "cache"), first)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()} == files


def test_an_image_that_changed_is_cut_again(tmp_path):
    path = save(tmp_path / "a.png", np.full((300, 300, 3), 200, np.uint8))
    samples = [sample(path, box=Box(10, 10, 50, 50))]
    prepare(samples, tmp_path / "cache")
    save(path, np.full((300, 301, 3), 90, np.uint8))
    assert prepare(samples, tmp_path / "cache").max() == 90


def test_a_field_is_not_answered_with_the_crop_of_its_cell(tmp_path):
    picture = np.full((448, 448, 3), 220, np.uint8)
    picture[:, :100] = 40
    path = save(tmp_path / "a.png", picture)
    kinds = [
        lab_data_set("our-lab", Task("label", view, ("a",)), 0.1) for view in ("cell", "field")
    ]
    samples = [Sample(kind, path, "train", ("g",), None, 0.1, {}) for kind in kinds]
    prepared = [prepare([sample], tmp_path / "cache")[0] for sample in samples]
    assert not np.array_equal(*prepared)
    for pixels, sample in zip(prepared, samples, strict=True):
        assert np.array_equal(pixels, pixels_of(sample))


def test_the_same_field_with_another_corner_blanked_is_prepared_again(tmp_path):
    path = save(tmp_path / "a.png", np.arange(224, dtype=np.uint8)[:, None, None].repeat(224, 1))
    blanked = KNOWN["all-taleqani"]
    whole = replace(blanked, mask=None)
    samples = [Sample(one, path, "train", ("g",), None, 0.45, {}) for one in (blanked, whole)]
    first, second = (prepare([sample], tmp_path / "cache") for sample in samples)
    assert not np.array_equal(first, second)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(PermanentError, match=r"none\.png"):
        prepare([sample(tmp_path / "none.png", box=Box(0, 0, 5, 5))], tmp_path / "cache")


def test_a_broken_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(PermanentError, match=r"a\.png"):
        pixels_of(sample(tmp_path / "a.png", box=Box(0, 0, 5, 5)))
