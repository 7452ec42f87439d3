"""The worker as a process of its own: killed, stopped, and refusing to start."""

import signal
from uuid import uuid4

import onnxruntime
import pytest

from parts.queued import PREDICTIONS, STATES, queue_field, smooth_crops


def test_a_worker_killed_before_its_commit_is_replaced_by_another(
    engine, store, settings, process, query, until, drained, slide_held
):
    slide_id = uuid4()
    for seed in range(3):
        queue_field(engine, store, smooth_crops(4, seed), slide_id=slide_id)
    with slide_held(slide_id):
        victim = process()
        waiting = (
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
        until(lambda: query(waiting) == [(1,)])
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert query(PREDICTIONS) == [(0, 0)]
    assert query(STATES) == [("pending", None, 3)]
    process()
    drained()
    assert query(STATES) == [("result", None, 3)]
    assert query(PREDICTIONS) == [(12, 12)]
    assert query("select (content->>'cells')::int from slide_results") == [(12,)]


def test_sigterm_ends_the_process_cleanly(engine, store, process, query, until):
    worker = process()
    queue_field(engine, store, smooth_crops(2))
    until(lambda: query(STATES) == [("result", None, 1)])
    worker.terminate()
    assert worker.wait(timeout=20) == 0


def test_a_bundle_that_cannot_be_run_ends_the_process_with_its_reason(settings, process):
    (settings.bundle / "first.onnx").write_bytes(b"damaged")
    worker = process()
    _, printed = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert b"bundle-hash" in printed
    assert b"first.onnx" in printed


def test_cuda_that_is_not_there_ends_the_process_with_its_reason(process):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA")
    worker = process(HEMALINE_DEVICE="cuda")
    _, printed = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert b"cuda-unavailable" in printed
