"""A manifest that contradicts itself is refused."""

import numpy as np
import pytest
from pydantic import ValidationError

from hemaline_shared.model_manifest import Calibration
from parts.bundles import EVERY_TASK, tiny_manifest
from parts.classifiers import confusion

_FILES = {"net.onnx": b""}


def test_a_trained_bundle_has_an_operating_point_for_each_label():
    with pytest.raises(ValidationError, match="operating point"):
        tiny_manifest(_FILES, operating_points={"blast": 0.5})


def test_an_untrained_bundle_has_no_operating_point():
    with pytest.raises(ValidationError, match="operating point"):
        tiny_manifest(_FILES, trained=False)


@pytest.mark.parametrize("labels", [("blast", "blast"), ("blast", "unclassified")])
def test_labels_differ_and_leave_unclassified_free(labels):
    with pytest.raises(ValidationError, match="labels must differ"):
        tiny_manifest(_FILES, labels=labels)


@pytest.mark.parametrize("role", ["blasts", "outside_differential"])
def test_a_role_names_a_label_of_the_bundle(role):
    with pytest.raises(ValidationError, match="myeloblast: not among the labels"):
        tiny_manifest(_FILES, **{role: ("myeloblast",)})


def test_a_confusion_names_labels_of_the_task():
    told = confusion(("blast", "lymphocyte", "smudge"), np.diag([9, 8, 7, 0])[:3])
    manifest = tiny_manifest(_FILES, confusion=told)
    assert manifest.cell_task.confusion == told
    other = told.model_copy(update={"counts": {"blast": {"myeloblast": 3}}})
    with pytest.raises(ValidationError, match="myeloblast: not among the labels"):
        tiny_manifest(_FILES, confusion=other.model_dump())


def test_the_logits_of_all_tasks_lie_one_after_the_other():
    manifest = tiny_manifest(_FILES, tasks=EVERY_TASK)
    assert manifest.outputs == 7
    assert manifest.slices() == {
        "cell-class": slice(0, 3),
        "all-subtype": slice(3, 5),
        "apl": slice(5, 7),
    }


def test_the_first_cell_task_names_the_cells():
    cells, field, apl = EVERY_TASK
    assert tiny_manifest(_FILES, tasks=(field, cells, apl)).cell_task == cells
    assert tiny_manifest(_FILES, tasks=(field,)).cell_task is None


def test_a_question_is_asked_of_labels_that_cells_can_have():
    apl = EVERY_TASK[2].model_copy(update={"asked_of": ("promyelocyte",)})
    with pytest.raises(ValidationError, match="no cell is called promyelocyte"):
        tiny_manifest(_FILES, tasks=(EVERY_TASK[0], apl))


def test_tasks_have_different_names():
    with pytest.raises(ValidationError, match="different names"):
        tiny_manifest(_FILES, tasks=(EVERY_TASK[0], EVERY_TASK[0]))


def test_a_temperature_belongs_to_a_task():
    (entry,) = tiny_manifest(_FILES).networks
    hot = entry.model_copy(update={"calibration": {"apl": Calibration(temperature=2.0)}})
    with pytest.raises(ValidationError, match="no task apl"):
        tiny_manifest(_FILES, networks=(hot,))


def test_each_task_is_answered_by_a_network_that_counts():
    (entry,) = tiny_manifest(_FILES).networks
    silent = entry.model_copy(update={"calibration": {"cell-class": Calibration(weight=0.0)}})
    with pytest.raises(ValidationError, match="at least one network must have a weight"):
        tiny_manifest(_FILES, networks=(silent,))


def test_networks_have_different_names_and_files():
    (entry,) = tiny_manifest(_FILES).networks
    other = entry.model_copy(update={"name": "other"})
    with pytest.raises(ValidationError, match="different names"):
        tiny_manifest(_FILES, networks=(entry, entry))
    with pytest.raises(ValidationError, match="different files"):
        tiny_manifest(_FILES, networks=(entry, other))


@pytest.mark.parametrize("change", [{"crop_px": 128}, {"um_per_px": 0.2}, {"layout": "nchw"}])
def test_an_input_that_the_pipeline_does_not_cut_is_refused(change):
    with pytest.raises(ValidationError):
        tiny_manifest(_FILES, input=change)


def test_a_bundle_for_clinical_use_does_not_exist():
    with pytest.raises(ValidationError):
        tiny_manifest(_FILES, research_use_only=False)
