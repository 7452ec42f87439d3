"""A field is blamed only if it fails alone, each time, on a device that passes its self-test."""

import random
import threading
from concurrent.futures import Future
from uuid import uuid4

import numpy as np
import pytest

from hemaline_cloud.database.work import LeasedField
from hemaline_cloud.inference import isolation as module
from hemaline_cloud.inference.isolation import Isolation
from hemaline_cloud.inference.reading import HeldField, ReadField
from hemaline_cloud.inference.runtime import DeviceError, Looked, Output
from hemaline_cloud.inference.settling import FailedField, JudgedField
from hemaline_cloud.retrying import StoppedError
from parts.bundles import tiny_manifest

_POISON, _SOUND = 9, 1


class _Device:
    """Runs anything but a poisonous crop; `fails` may add failures of its own."""

    def __init__(self, fails=lambda: False):
        self.fails = fails
        self.self_tests = 0
        self.runs = 0

    def self_test(self, crops):
        assert crops == 4
        self.self_tests += 1
        if self.fails():
            raise DeviceError("network net does not run")

    def look(self, crops, cells):
        assert cells.all()
        self.runs += 1
        done = Future()
        if self.fails() or (crops == _POISON).any():
            done.set_exception(RuntimeError("CUDA failure 719"))
        else:
            logits = np.eye(3, dtype=np.float32)[[0] * len(crops)]
            outputs = {"net": Output(logits, np.zeros((*logits.shape, 2, 2), np.float32))}
            done.set_result(Looked(outputs, np.zeros(len(crops), bool)))
        return done


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(module, "_LONGEST_WAIT_S", 0.0)


@pytest.fixture
def isolated():
    def make(device):
        return Isolation(device, tiny_manifest({"net.onnx": b""}), 4, threading.Event())

    return make


def _read(value, cells=6):
    lease = LeasedField(
        uuid4(), uuid4(), "lab", "scope", "key", "0" * 64, 100, 10, 10, "1", True, 1
    )
    held = HeldField(lease, tuple(uuid4() for _ in range(cells)))
    return ReadField(held, np.full((cells, 4, 4, 3), value, np.uint8))


def test_a_suspect_that_is_sound_gets_its_verdicts(isolated):
    judged = isolated(_Device()).judge_alone(_read(_SOUND))
    assert isinstance(judged, JudgedField)
    assert [verdict.label for verdict in judged.verdicts] == ["blast"] * 6


def test_a_field_that_fails_each_time_on_a_sound_device_is_blamed(isolated):
    device = _Device()
    judged = isolated(device).judge_alone(_read(_POISON))
    assert isinstance(judged, FailedField)
    assert judged.reason == "inference-failed"
    assert "CUDA failure 719" in judged.detail
    # As many self-tests as batches, before each try and after the last.
    assert (device.runs, device.self_tests) == (8 * 1, 9 * 2)


def test_no_finite_number_keeps_its_own_reason(isolated):
    class Blank(_Device):
        def look(self, crops, cells):
            looked = super().look(crops, cells)
            looked.result().outputs["net"].logits[0] = np.nan
            return looked

    assert isolated(Blank()).judge_alone(_read(_SOUND)).reason == "no-finite-logits"


def test_what_failed_before_the_device_failed_is_not_held_against_the_field(isolated):
    """Every try fails, and the self-test after the last one; then everything works."""
    outcomes = iter([False, False, True] * 8 + [True])
    device = _Device(lambda: next(outcomes, False))
    assert isinstance(isolated(device).judge_alone(_read(_SOUND)), JudgedField)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.5, 0.8])
def test_a_device_that_fails_at_random_lets_no_sound_field_be_blamed(isolated, share):
    chance = random.Random(8)
    for _ in range(300):
        try:
            judged = isolated(_Device(lambda: chance.random() < share)).judge_alone(_read(_SOUND))
        except DeviceError:
            continue
        assert isinstance(judged, JudgedField)


def test_a_device_that_fails_again_and_again_is_given_up_with_the_reason(isolated):
    device = _Device(lambda: True)
    isolation = isolated(device)
    with pytest.raises(DeviceError, match=r"8 times in a row: network net does not run\. No field"):
        isolation.prove_device()
    assert device.self_tests == 8
    assert isolation.problem() == "network net does not run"


def test_a_device_that_recovers_is_no_problem_any_more(isolated):
    outcomes = iter([True] * 7)
    isolation = isolated(_Device(lambda: next(outcomes, False)))
    isolation.prove_device()
    assert isolation.problem() is None


def test_a_worker_that_stops_waits_for_no_device(isolated, monkeypatch):
    isolation = isolated(_Device(lambda: True))
    isolation._stopping.set()
    with pytest.raises(StoppedError):
        isolation.prove_device()


def test_a_device_that_dies_with_a_suspect_makes_it_no_less_suspect(isolated):
    outcomes = iter([False, False])
    isolation = isolated(_Device(lambda: next(outcomes, True)))
    with pytest.raises(DeviceError):
        isolation.judge_alone(_read(_SOUND))
    assert isolation.suspect_tried


def test_a_device_that_was_dead_before_tells_nothing_of_the_suspect(isolated):
    isolation = isolated(_Device(lambda: True))
    with pytest.raises(DeviceError):
        isolation.judge_alone(_read(_SOUND))
    assert not isolation.suspect_tried


def test_a_suspect_that_ended_well_is_not_held_against_what_comes_later(isolated):
    isolation = isolated(_Device())
    isolation.judge_alone(_read(_SOUND))
    assert not isolation.suspect_tried


def test_a_device_that_needs_some_time_is_waited_for_before_a_suspect_is_tried(isolated):
    outcomes = iter([True] * 6)
    device = _Device(lambda: next(outcomes, False))
    assert isinstance(isolated(device).judge_alone(_read(_SOUND)), JudgedField)


def test_when_fields_in_a_row_fail_alone_the_worker_is_suspected(isolated):
    isolation = isolated(_Device())
    for _ in range(4):
        assert isinstance(isolation.judge_alone(_read(_POISON)), FailedField)
    with pytest.raises(DeviceError, match="5 fields in a row failed alone"):
        isolation.judge_alone(_read(_POISON))


def test_one_sound_field_between_them_clears_the_worker(isolated):
    isolation = isolated(_Device())
    for _ in range(4):
        isolation.judge_alone(_read(_POISON))
    isolation.judge_alone(_read(_SOUND))
    assert isinstance(isolation.judge_alone(_read(_POISON)), FailedField)
