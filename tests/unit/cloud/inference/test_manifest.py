"""A manifest that contradicts itself is refused."""

import numpy as np
import pytest
from pydantic import ValidationError

from hemaline_shared.model_manifest import Calibration
from parts.bundles import EVERY_TASK, FIRST_LOOK, tiny_manifest
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


_TWO_FILES = {"first.onnx": b"", "second.onnx": b""}


def _with_first_look(**changes):
    first = FIRST_LOOK.model_dump() | changes
    return tiny_manifest(_TWO_FILES, tasks=EVERY_TASK, first_look=first)


def test_of_a_cell_that_one_network_answers_alone_its_own_temperatures_count():
    alone = _with_first_look(temperatures={"cell-class": 1.5, "apl": 2.0}).alone()
    assert [network.name for network in alone.networks] == ["first"]
    assert alone.networks[0].calibrated("cell-class") == Calibration(temperature=1.5)


def test_of_fields_one_network_alone_is_asked_where_each_such_task_has_a_temperature():
    assert not _with_first_look().fields_alone
    every = {"cell-class": 1.0, "apl": 1.0, "all-subtype": 2.0}
    assert _with_first_look(temperatures=every).fields_alone


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"network": "third"}, "there is no network third"),
        ({"enough": {"blast": 0.9}}, "blast: of what may raise a flag every network is asked"),
        ({"enough": {"neutrophil": 0.9}}, "no cell is called neutrophil"),
        ({"temperatures": {"cell-class": 1.0}}, "each task that looks at cells has a temperature"),
    ],
)
def test_a_first_look_that_could_hide_something_is_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        _with_first_look(**changes)


def test_what_is_enough_is_never_unclassified():
    cells, *others = EVERY_TASK
    points = {"blast": 0.5, "lymphocyte": 0.5, "smudge": 0.5}
    unsure = (cells.model_copy(update={"operating_points": points}), *others)
    with pytest.raises(ValidationError, match="lymphocyte would be enough below its operating"):
        tiny_manifest(_TWO_FILES, tasks=unsure, first_look=FIRST_LOOK)


def test_an_untrained_bundle_has_no_first_look():
    with pytest.raises(ValidationError, match="only a trained bundle"):
        tiny_manifest(_TWO_FILES, trained=False, operating_points={}, first_look=FIRST_LOOK)
