"""Batches are filled across fields, and go when they are full or old enough."""

from uuid import uuid4

import numpy as np
import pytest

from hemaline_cloud.database.work import LeasedField
from hemaline_cloud.inference.batching import BatchFiller, hand_back, hand_out
from hemaline_cloud.inference.reading import HeldField, ReadField
from hemaline_cloud.inference.runtime import Looked, Output
from parts.bundles import EVERY_TASK, FIELDS_ALONE, FIRST_LOOK, tiny_manifest

_MANIFEST = tiny_manifest({"net.onnx": b""})
_CELLS_AND_FIELDS = tiny_manifest({"net.onnx": b""}, tasks=EVERY_TASK)


def _field(cells, value=0, whole=False):
    lease = LeasedField(uuid4(), uuid4(), "lab", "scope", "key", "0" * 64, 100, 10, 10, "1")
    held = HeldField(lease, tuple(uuid4() for _ in range(cells)))
    return ReadField(held, np.full((cells + whole, 4, 4, 3), value, np.uint8))


def _values(batch):
    return batch.crops[:, 0, 0, 0].tolist()


def _outputs(batch, outputs=3):
    """Each crop's first pixel names its class, which is seen in the upper left."""
    logits = 9 * np.eye(outputs, dtype=np.float32)[_values(batch)]
    maps = np.zeros((*logits.shape, 2, 2), np.float32)
    maps[:, :, 0, 0] = 4 * logits
    return Looked({"net": Output(logits, maps)}, np.zeros(len(logits), bool))


def test_a_batch_is_filled_across_fields():
    filler = BatchFiller(4, 1.0)
    filler.add(_field(1, 1), 0.0)
    filler.add(_field(2, 2), 0.0)
    filler.add(_field(3, 3), 0.0)
    assert filler.due_in(0.0) == 0
    assert _values(filler.take()) == [1, 2, 2, 3]
    assert filler.due_in(0.0) == 1.0
    assert _values(filler.take()) == [3, 3]
    assert filler.due_in(0.0) is None


def test_a_batch_that_is_exactly_full_goes_at_once():
    filler = BatchFiller(4, 1.0)
    filler.add(_field(3), 0.0)
    assert filler.due_in(0.0) == 1.0
    filler.add(_field(1), 0.0)
    assert filler.due_in(0.0) == 0
    assert len(filler.take().crops) == 4
    assert filler.due_in(0.0) is None


def test_nothing_that_waits_is_nothing_due():
    assert BatchFiller(4, 0.0).due_in(5.0) is None


def test_a_field_larger_than_a_batch_takes_several():
    filler = BatchFiller(4, 1.0)
    filler.add(_field(9, 5), 0.0)
    sizes = []
    while filler.due_in(0.0) is not None:
        sizes.append(len(filler.take().crops))
    assert sizes == [4, 4, 1]


def test_a_batch_that_is_not_full_waits_for_the_oldest_crops_patience():
    filler = BatchFiller(4, 0.5)
    filler.add(_field(1), 10.0)
    filler.add(_field(1), 10.4)
    assert filler.due_in(10.4) == pytest.approx(0.1)
    assert filler.due_in(10.5) == 0
    assert filler.due_in(99.0) == 0


def test_what_remains_keeps_the_time_it_came_at():
    filler = BatchFiller(2, 0.5)
    filler.add(_field(3), 1.0)
    filler.take()
    assert filler.due_in(1.2) == pytest.approx(0.3)


def test_verdicts_go_back_to_the_cells_they_belong_to():
    filler = BatchFiller(4, 1.0)
    fields = [_field(3, 0), _field(3, 1), _field(2, 2)]
    for field in fields:
        filler.add(field, 0.0)
    done = []
    while filler.due_in(0.0) is not None:
        batch = filler.take()
        done += hand_out(batch, _MANIFEST, _outputs(batch))
    assert [progress.held for progress in done] == [field.held for field in fields]
    labels = [[verdict.label for verdict in progress.verdicts] for progress in done]
    assert labels == [["blast"] * 3, ["lymphocyte"] * 3, ["smudge"] * 2]
    seen = {verdict.heat_map.values for progress in done for verdict in progress.verdicts}
    assert seen == {b"\xff\x00\x00\x00"}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_a_field_that_is_asked_about_itself_is_the_last_of_its_pictures(batch_size):
    filler = BatchFiller(batch_size, 1.0)
    fields = [_field(2, 0, whole=True), _field(0, 3, whole=True), _field(1, 1)]
    for field in fields:
        filler.add(field, 0.0)
    done = []
    while filler.due_in(0.0) is not None:
        batch = filler.take()
        done += hand_out(batch, _CELLS_AND_FIELDS, _outputs(batch, 7))
    assert [progress.held for progress in done] == [field.held for field in fields]
    assert [len(progress.verdicts) for progress in done] == [2, 0, 1]
    first, empty, unasked = (progress.answers for progress in done)
    assert first["all-subtype"]["average"]["benign"] == 0.5
    assert empty["all-subtype"]["average"]["benign"] > 0.99
    assert unasked is None


def test_a_batch_says_which_of_its_pictures_are_cells():
    filler = BatchFiller(3, 1.0)
    for field in (_field(4, whole=True), _field(0, whole=True), _field(1)):
        filler.add(field, 0.0)
    told = []
    while filler.due_in(0.0) is not None:
        told += filler.take().cells.tolist()
    assert told == [True, True, True, True, False, False, True]


def test_a_cell_is_judged_by_the_networks_that_were_asked_about_it():
    manifest = tiny_manifest(
        {"first.onnx": b"", "second.onnx": b""}, tasks=EVERY_TASK, first_look=FIRST_LOOK
    )
    filler = BatchFiller(4, 1.0)
    filler.add(_field(3), 0.0)
    batch = filler.take()
    logits = 9 * np.eye(7, dtype=np.float32)[[1, 0, 2]]
    other = 9 * np.eye(7, dtype=np.float32)[[0, 0, 0]]
    maps = np.ones((3, 7, 2, 2), np.float32)
    outputs = {"first": Output(logits, maps), "second": Output(other, maps)}
    (done,) = hand_out(batch, manifest, Looked(outputs, np.array([True, False, False])))
    asked = [list(verdict.probabilities["cell-class"]) for verdict in done.verdicts]
    assert asked == [["first", "average"], *[["first", "second", "average"]] * 2]
    alone, both, torn = done.verdicts
    assert (alone.label, both.label) == ("lymphocyte", "blast")
    assert alone.probability > 0.99
    assert torn.probability == pytest.approx(0.5, abs=0.01)
    assert alone.disagreement == 0


def test_a_field_is_answered_by_the_network_that_was_asked_of_it():
    manifest = tiny_manifest(
        {"first.onnx": b"", "second.onnx": b""}, tasks=EVERY_TASK, first_look=FIELDS_ALONE
    )
    filler = BatchFiller(4, 1.0)
    filler.add(_field(0, whole=True), 0.0)
    # Temperature 2 halves what it says of fields; the second network was not asked.
    logits = np.zeros((1, 7), np.float32)
    logits[0, 4] = 4.0
    outputs = {"first": Output(logits, np.ones((1, 7, 2, 2), np.float32))}
    (done,) = hand_out(filler.take(), manifest, Looked(outputs, np.array([True])))
    assert list(done.answers["all-subtype"]) == ["first", "average"]
    assert done.answers["all-subtype"]["average"]["pro-b"] == pytest.approx(0.881, abs=0.001)


def test_a_field_with_unusable_numbers_fails_alone():
    filler = BatchFiller(4, 1.0)
    for value in range(2):
        filler.add(_field(2, value), 0.0)
    batch = filler.take()
    looked = _outputs(batch)
    looked.outputs["net"].logits[1] = np.nan
    broken, sound = hand_out(batch, _MANIFEST, looked)
    assert broken.failure.reason == "no-finite-logits"
    assert sound.failure is None
    assert len(sound.verdicts) == 2


def test_a_batch_that_failed_is_known_by_all_its_fields_once_their_other_parts_are_back():
    filler = BatchFiller(4, 1.0)
    fields = [_field(3), _field(3)]
    for field in fields:
        filler.add(field, 0.0)
    first, second = filler.take(), filler.take()
    failed = hand_back(first, RuntimeError("CUDA failure 719"))
    assert [progress.held for progress in failed] == [fields[0].held]
    (late,) = hand_out(second, _MANIFEST, _outputs(second))
    assert late.held is fields[1].held
    assert str(late.failure) == "CUDA failure 719"


def test_an_untrained_bundle_explains_nothing():
    filler = BatchFiller(4, 1.0)
    filler.add(_field(2), 0.0)
    batch = filler.take()
    untrained = tiny_manifest({"net.onnx": b""}, trained=False, operating_points={})
    (done,) = hand_out(batch, untrained, _outputs(batch))
    assert [verdict.heat_map for verdict in done.verdicts] == [None, None]
