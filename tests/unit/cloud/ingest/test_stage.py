"""A stage hands batches on in order, passes the end on, and tells of a fault."""

from queue import Queue

import pytest

from hemaline_cloud.ingest.stage import Stage
from hemaline_cloud.retrying import StoppedError


def run(work, batches):
    """Return what came out, how many faults were told, and whether the source was emptied."""
    source, sink, faults = Queue(), Queue(), []
    for batch in [*batches, []]:
        source.put(batch)
    stage = Stage("test", source.get, work, sink.put, lambda: faults.append(1))
    stage.start()
    assert stage.join(5)
    return list(sink.queue), len(faults), source.empty()


def fail(error):
    def work(_batch):
        raise error

    return work


def test_batches_keep_their_order_and_the_end_is_passed_on():
    doubled = run(lambda batch: [2 * item for item in batch], [[1, 2], [3]])
    assert doubled == ([[2, 4], [6], []], 0, True)


class Panic(BaseException):
    """What pyo3 raises where a library in Rust panics."""


@pytest.mark.parametrize("fault", [RuntimeError("a defect"), Panic("a defect of others")])
def test_a_fault_is_told_and_the_stage_before_is_let_go(fault):
    assert run(fail(fault), [[1], [2], [3]]) == ([[]], 1, True)


def test_a_stop_is_no_fault():
    assert run(fail(StoppedError()), [[1], [2]]) == ([[]], 0, True)
