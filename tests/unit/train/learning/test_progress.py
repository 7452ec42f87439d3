"""What a run tells while it trains."""

import logging

import pytest

from hemaline_train.learning.progress import EVERY_S, Progress, duration


class Clock:
    """A clock that the test moves on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run(progress, clock, batches, each):
    for _ in progress.of(batches):
        clock.now += each


def test_it_tells_how_long_the_epoch_and_the_run_will_take(caplog):
    clock = Clock()
    caplog.set_level(logging.INFO)
    run(Progress(20, 3, clock), clock, range(10), EVERY_S)
    first, *_, last = caplog.messages
    assert first == "epoch 4 of 20, batch 1 of 10: 4 min left in it, 84 min in all"
    assert last == "epoch 4 of 20, batch 10 of 10: 0 s left in it, 80 min in all"


def test_it_does_not_tell_of_every_quick_batch(caplog):
    clock = Clock()
    caplog.set_level(logging.INFO)
    progress = Progress(2, 0, clock)
    run(progress, clock, range(100), EVERY_S / 40)
    run(progress, clock, range(100), EVERY_S / 40)
    assert len(caplog.messages) == 5
    assert caplog.messages[-1].startswith("epoch 2 of 2, batch 100 of 100: 0 s left in it, 0 s")


def test_of_several_processes_only_one_tells(caplog):
    clock = Clock()
    caplog.set_level(logging.INFO)
    run(Progress(2, 0, clock, silent=True), clock, range(10), EVERY_S)
    assert not caplog.messages


def test_every_batch_is_passed_on_in_order():
    assert list(Progress(1, 0).of([3, 1, 2])) == [3, 1, 2]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5300, "88 min"), (12_000, "3 h 20 min")],
)
def test_times_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said
