"""The worker as a process of its own: killed, stopped, and refusing to start."""

import signal
import time
from subprocess import DEVNULL
from uuid import uuid4

import numpy as np
import onnxruntime
import pytest

from hemaline_local.ports import free_port, http_ok
from hemaline_shared.pixels.crops import CROP_PX
from parts.health import ask_health
from parts.queued import PREDICTIONS, STATES, queue_field, smooth_crops
from parts.waiting import LONG_S


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
    assert query("select (content->>'cells')::int from result_revisions") == [(12,)]


_DIES_OF_BLACK = """
import os
from hemaline_cloud.cli import app
from hemaline_cloud.inference import runtime

run = runtime._run

def fatal(session, crops):
    if (crops[:, :8, :8] == 0).all(axis=(1, 2, 3)).any():
        os._exit(139)
    return run(session, crops)

runtime._run = fatal
app(["infer"])
"""


def test_a_field_that_kills_every_worker_is_quarantined_and_its_neighbours_are_not_blamed(
    engine, store, process, query
):
    slide_id = uuid4()
    black = [np.zeros((CROP_PX, CROP_PX, 3), np.uint8)]
    crops = [smooth_crops(1, seed) for seed in range(3)] + [black]
    crops += [smooth_crops(1, seed) for seed in range(3, 6)]
    frames = [queue_field(engine, store, some, slide_id=slide_id) for some in crops]
    killer = frames[3]
    deaths = 0
    while query("select count(*) from work") != [(0,)]:
        worker = process("-c", _DIES_OF_BLACK, stderr=DEVNULL, HEMALINE_MAX_ATTEMPTS="2")
        while worker.poll() is None and query("select count(*) from work") != [(0,)]:
            # A neighbour may be held alone in its turn, or wait for it: no attempt stays with it.
            blamed = "select distinct frame_id from work where attempts > 0 and leased_by is null"
            assert query(blamed) in ([], [(killer,)])
            time.sleep(0.02)
        if worker.poll() is not None:
            assert worker.returncode == 139
            deaths += 1
    # Once among its neighbours, then alone as often as is allowed.
    assert deaths == 3
    states = dict(query("select frame_id, coalesce(reason, state) from frames"))
    assert states == {**dict.fromkeys(frames, "result"), killer: "too-many-attempts"}
    worker.terminate()
    assert worker.wait(timeout=LONG_S) == 0


def test_sigterm_ends_the_process_cleanly(engine, store, process, query, until):
    worker = process()
    queue_field(engine, store, smooth_crops(2))
    until(lambda: query(STATES) == [("result", None, 1)])
    worker.terminate()
    assert worker.wait(timeout=LONG_S) == 0


def test_a_bundle_that_is_not_there_or_damaged_is_waited_for_and_told_once(
    engine, store, settings, process, query, until
):
    queue_field(engine, store, smooth_crops(2))
    graph = settings.bundle / "first.onnx"
    whole = graph.read_bytes()
    away = settings.bundle.rename(settings.bundle.with_name("away"))
    port = free_port()
    worker = process(HEMALINE_HEALTH__PORT=str(port))
    until(lambda: http_ok(port, "/healthz"))
    status, told = ask_health(port, "/readyz")
    assert status == 503
    assert "HEMALINE_BUNDLE must name a directory" in told
    (away / graph.name).write_bytes(b"damaged")
    away.rename(settings.bundle)
    until(lambda: "first.onnx" in ask_health(port, "/readyz")[1])
    assert worker.poll() is None
    graph.write_bytes(whole)
    until(lambda: query(STATES) == [("result", None, 1)])
    worker.terminate()
    _, printed = worker.communicate(timeout=LONG_S)
    assert (worker.returncode, printed.count(b"waiting for a bundle")) == (0, 2)


def test_cuda_that_is_not_there_ends_the_process_with_its_reason(process):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA")
    worker = process(HEMALINE_DEVICE="cuda")
    _, printed = worker.communicate(timeout=LONG_S)
    assert worker.returncode == 2
    assert b"CUDA" in printed
