"""A bundle's folder: written whole or not at all, and read only if it fits this version."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import (
    check_new,
    read_bundle,
    task_slices,
    write_bundle,
    write_confusion,
    write_first_look,
)
from parts.bundles import EVERY_TASK, FIELDS_ALONE, FIRST_LOOK, tiny_trained
from parts.classifiers import confusion


@pytest.fixture
def folder(tmp_path):
    return tiny_trained(tmp_path / "tiny-1")


def test_what_is_read_can_be_written_and_read_again(folder, tmp_path):
    bundle = read_bundle(folder)
    write_bundle(tmp_path / "tiny-2", bundle)
    assert read_bundle(tmp_path / "tiny-2") == bundle
    assert not list(tmp_path.glob("*.draft"))


def test_operating_points_are_read(folder):
    assert read_bundle(folder).points == {"cell-class": (0.0, 0.0, 0.0)}


def test_what_was_measured_is_written_into_the_manifest_alone(folder):
    told = confusion(("blast", "lymphocyte", "smudge"), np.diag([9, 8, 7, 0])[:3])
    before = read_bundle(folder)
    write_confusion(folder, "cell-class", told)
    assert read_bundle(folder) == replace(before, confusions={"cell-class": told})
    assert not list(folder.glob("*.draft"))


def test_what_one_network_answers_alone_is_judged_as_it_is_served(tmp_path):
    folder = tiny_trained(tmp_path / "tiny-1", EVERY_TASK)
    write_first_look(folder, FIRST_LOOK, {})
    bundle = read_bundle(folder)
    assert bundle.first_look == FIRST_LOOK
    naming = bundle.tasks[0]
    logits = {name: np.zeros((3, 7)) for name in ("first", "second")}
    logits["first"][:, :3] = 9 * np.eye(3)
    logits["second"][:, :3] = [9, 0, 0]
    assert bundle.answered_alone(logits).tolist() == [False, True, True]
    assert bundle.average(logits, naming).argmax(axis=1).tolist() == [0, 1, 2]
    field = next(task for task in bundle.tasks if task.view == "field")
    part = task_slices(bundle.tasks)[field.name]
    logits["first"][:, part], logits["second"][:, part] = [4, 0], [0, 4]
    assert bundle.average(logits, field)[0].tolist() == [0.5, 0.5]
    alone = replace(bundle, first_look=FIELDS_ALONE).average(logits, field)
    assert alone[0, 0] == pytest.approx(0.881, abs=0.001)
    whole = replace(bundle, first_look=None)
    assert whole.average(logits, naming)[1].max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["our lab", "-1", "x" * 64, ".hidden"])
def test_a_folder_whose_name_cannot_be_a_bundle_s_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(PermanentError) as refused:
        check_new(tmp_path / name)
    assert refused.value.reason == "bundle-name"


def test_what_is_there_already_is_not_written_over(folder):
    with pytest.raises(PermanentError) as refused:
        write_bundle(folder, read_bundle(folder))
    assert refused.value.reason == "bundle-exists"


def test_a_bundle_of_another_pixel_pipeline_is_not_judged(folder):
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pixel_pipeline": "99"}))
    with pytest.raises(PermanentError, match="99") as refused:
        read_bundle(folder)
    assert refused.value.reason == "bundle-pixel-pipeline"
