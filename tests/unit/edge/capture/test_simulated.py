"""The simulated microscope gives every field once, slide after slide."""

from hemaline_edge.capture.simulated import SimulatorSource
from hemaline_edge.settings import SimulatorSettings

SMALL = SimulatorSettings(slides=2, fields=3, width=256, height=256)


class Memory:
    def __init__(self, marks):
        self.marks = marks

    def seen(self, scope, key):
        return self.marks.get((scope, key))


def open_simulator(marks, settings=SMALL):
    return SimulatorSource(settings, Memory(marks))


def key_of(frame):
    return frame.marks[0].key


def drain(source, marks, at_most=100):
    frames = []
    while not source.exhausted and len(frames) < at_most:
        if frame := source.read(0.1):
            frames.append(frame)
            marks.update({(mark.scope, mark.key): mark.version for mark in frame.marks})
    return frames


def test_every_field_of_every_slide_comes_once():
    frames = drain(open_simulator({}), {}, at_most=6)
    assert [frame.slide for frame in frames] == ["simulated-1"] * 3 + ["simulated-2"] * 3
    assert frames[0].image.shape == (256, 256, 3)


def test_a_restart_goes_on_where_the_last_run_ended():
    marks = {}
    drain(open_simulator(marks), marks, at_most=4)
    assert [key_of(frame) for frame in drain(open_simulator(marks), marks)] == ["1/1", "1/2"]


def test_a_field_that_the_spool_did_not_take_is_given_again():
    marks = {}
    source = open_simulator(marks)
    assert key_of(source.read(1)) == "0/0"
    assert "0/0" in [key_of(frame) for frame in drain(source, marks)]
    assert source.exhausted


def test_fields_come_no_faster_than_the_interval():
    source = open_simulator({}, SMALL.model_copy(update={"interval_s": 30.0}))
    assert source.read(0.1)
    assert source.read(0.1) is None
    assert not source.exhausted
