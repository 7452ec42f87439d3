"""The worker on a real database and a real directory of objects."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from uuid import uuid4

import numpy as np
import onnxruntime
import pytest
from sqlalchemy import text

from hemaline_cloud.database import results
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.work import enqueue
from hemaline_cloud.inference import worker as worker_module
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.runtime import Networks
from hemaline_cloud.inference.verdicts import judge
from hemaline_cloud.inference.worker import Worker
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.packing import FieldImages, pack, unpack
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.encode import encode_crop
from parts.bundles import EVERY_TASK, tiny_trained, tiny_untrained
from parts.queued import object_file, queue_field, smooth_crops

_STATES = "select state, reason, count(*) from frames group by 1, 2 order by 1, 2"
_PREDICTIONS = "select count(*), count(distinct cell_id) from cell_predictions"
_DONE = [(0,)]


@pytest.fixture
def drained(query, until):
    def wait():
        until(lambda: query("select count(*) from work") == _DONE)

    return wait


@pytest.fixture
def process(settings):
    """Start `hemaline-cloud infer` as a process of its own."""
    started = []

    def start(**changes):
        values = {
            "HEMALINE_DATABASE_URL": settings.database_url.get_secret_value(),
            "HEMALINE_OBJECTS__KIND": "directory",
            "HEMALINE_OBJECTS__PATH": str(settings.objects.path),
            "HEMALINE_BUNDLE": str(settings.bundle),
            "HEMALINE_LEASE_S": "2",
            **changes,
        }
        command = [sys.executable, "-m", "hemaline_cloud", "infer"]
        child = subprocess.Popen(command, env={**os.environ, **values}, stderr=subprocess.PIPE)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stderr.close()


@contextmanager
def _slide_held(engine, slide_id):
    """Keep every worker from committing a result of this slide."""
    with unit_of_work(engine) as connection:
        results.lock_slides(connection, [slide_id])
        yield


def _fetch(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_queued_fields_become_results(engine, store, settings, running, query, drained):
    slide_id = uuid4()
    for seed, cells in enumerate((3, 0, 6)):
        queue_field(engine, store, smooth_crops(cells, seed), slide_id=slide_id)
    with running(settings):
        drained()
    assert query(_STATES) == [("result", None, 3)]
    assert query(_PREDICTIONS) == [(9, 9)]
    ((content, bundle),) = query("select content, bundle_sha256 from slide_results")
    assert (content["fields"], content["cells"]) == (3, 9)
    assert sum(content["cells_by_class"].values()) == 9
    assert bundle == load_bundle(settings.bundle).sha256


def test_work_that_comes_later_is_heard_of(engine, store, settings, running, query, until):
    with running(settings) as worker:
        until(lambda: _fetch(worker.health_port, "/readyz")[0] == 200)
        queue_field(engine, store, smooth_crops(1))
        until(lambda: query(_STATES) == [("result", None, 1)])


def test_an_untrained_bundle_stores_no_number(
    engine, store, settings, running, query, drained, tmp_path
):
    queue_field(engine, store, smooth_crops(3))
    bundle = tiny_untrained(tmp_path / "untrained")
    with running(settings.model_copy(update={"bundle": bundle})):
        drained()
    stored = "select distinct label, probability, probabilities from cell_predictions"
    assert query(stored) == [("unclassified", None, None)]
    assert query("select count(probabilities) from cell_predictions") == [(0,)]
    ((content,),) = query("select content from slide_results")
    assert (content["trained"], content["differential"], content["blasts"]) == (False, None, None)
    assert content["flags"][0]["code"] == "untrained-model"
    assert query("select trained from bundles") == [(False,)]


def test_a_stored_result_can_be_computed_again_bit_for_bit(
    engine, store, settings, running, query, drained
):
    frames = [queue_field(engine, store, smooth_crops(5, seed)) for seed in range(3)]
    with running(settings):
        drained()
    bundle = load_bundle(settings.bundle)
    networks = Networks(bundle, "cpu")
    for frame_id in frames:
        packed = object_file(settings.objects.path, frame_id).read_bytes()
        crops = np.stack([decode_image(crop) for crop in unpack(packed).crops])
        again = judge(bundle.manifest, networks.logits(crops))
        stored = query(
            "select label, probability, probabilities from cell_predictions join cells"
            f" using (cell_id) where frame_id = '{frame_id}' order by index"
        )
        assert [(v.label, v.probability, v.probabilities) for v in again] == stored
    networks.close()


def test_every_task_is_answered_for_cells_and_for_fields(
    engine, store, settings, running, query, drained, tmp_path
):
    slide_id = uuid4()
    for seed, cells in enumerate((3, 0, 6)):
        queue_field(engine, store, smooth_crops(cells, seed), slide_id=slide_id)
    bundle = tiny_trained(tmp_path / "every", EVERY_TASK)
    with running(settings.model_copy(update={"bundle": bundle})):
        drained()
    assert query(_STATES) == [("result", None, 3)]
    assert query(_PREDICTIONS) == [(9, 9)]
    answers = query("select probabilities from field_predictions")
    assert len(answers) == 3
    for (said,) in answers:
        assert set(said) == {"all-subtype"}
        assert set(said["all-subtype"]) == {"first", "second", "average"}
        assert sum(said["all-subtype"]["average"].values()) == pytest.approx(1)
    shapes = query(
        "select distinct length(heat_map), heat_map_width, disagreement between 0 and 1"
        " from cell_predictions"
    )
    assert shapes == [(56 * 56, 56, True)]
    ((content,),) = query("select content from slide_results")
    assert content["all_subtype"]["fields"] == 3


def test_a_field_whose_own_image_is_broken_is_quarantined_where_it_is_asked_about(
    engine, store, settings, running, query, drained, tmp_path
):
    crops = smooth_crops(2)
    packed = pack(FieldImages(b"no JPEG", tuple(map(encode_crop, crops))))
    queue_field(engine, store, crops, packed=packed)
    bundle = tiny_trained(tmp_path / "every", EVERY_TASK)
    with running(settings.model_copy(update={"bundle": bundle})):
        drained()
    assert query(_STATES) == [("quarantined", "not-an-image", 1)]


def test_a_worker_killed_before_its_commit_is_replaced_by_another(
    engine, store, settings, process, query, until, drained
):
    slide_id = uuid4()
    for seed in range(3):
        queue_field(engine, store, smooth_crops(4, seed), slide_id=slide_id)
    with _slide_held(engine, slide_id):
        victim = process()
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        until(lambda: query(waiting) == [(1,)])
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert query(_PREDICTIONS) == [(0, 0)]
    assert query(_STATES) == [("pending", None, 3)]
    process()
    drained()
    assert query(_STATES) == [("result", None, 3)]
    assert query(_PREDICTIONS) == [(12, 12)]
    assert query("select (content->>'cells')::int from slide_results") == [(12,)]


def test_two_workers_share_a_slide_and_count_each_cell_once(
    engine, store, settings, running, query, until, drained
):
    slide_id = uuid4()
    for seed in range(24):
        queue_field(engine, store, smooth_crops(2, seed), slide_id=slide_id)
    holders = "select count(distinct leased_by) from work"
    with running(settings), running(settings.model_copy(update={"worker": "w2"})):
        with _slide_held(engine, slide_id):
            until(lambda: query(holders) == [(2,)])
        drained()
    assert query(_PREDICTIONS) == [(48, 48)]
    ((content,),) = query("select content from slide_results")
    assert (content["fields"], content["cells"]) == (24, 48)


def test_a_poisoned_field_is_quarantined_and_the_others_go_on(
    engine, store, settings, running, query, drained
):
    slide_id = uuid4()
    crops = smooth_crops(2)
    good = [queue_field(engine, store, crops, slide_id=slide_id) for _ in range(2)]
    gone = queue_field(engine, store, crops, slide_id=slide_id)
    object_file(settings.objects.path, gone).unlink()
    cut = pack(FieldImages(b"", (encode_crop(crops[0]), encode_crop(crops[1])[:-20])))
    broken = queue_field(engine, store, crops, slide_id=slide_id, packed=cut)
    foreign = queue_field(engine, store, crops, slide_id=slide_id, pixel_pipeline="0")
    with running(settings):
        drained()
    states = dict(query("select frame_id, coalesce(reason, state) from frames"))
    assert states == {
        **dict.fromkeys(good, "result"),
        gone: "object-missing",
        broken: "truncated",
        foreign: "pixel-pipeline-mismatch",
    }
    assert query("select count(*) from frames where settled_at is null") == [(0,)]
    assert query("select (content->>'fields')::int from slide_results") == [(2,)]


def test_a_field_that_was_begun_too_often_is_quarantined(
    engine, store, settings, running, query, drained
):
    queue_field(engine, store, smooth_crops(1))
    with unit_of_work(engine) as connection:
        connection.execute(text("update work set attempts = 5"))
    with running(settings):
        drained()
    assert query(_STATES) == [("quarantined", "too-many-attempts", 1)]


def test_a_replayed_field_changes_nothing(engine, store, settings, running, query, drained):
    frame_id = queue_field(engine, store, smooth_crops(3))
    before = "select revision, computed_at, content from slide_results"
    settled = "select state, settled_at from frames"
    with running(settings):
        drained()
        first = query(before), query(settled)
        with unit_of_work(engine) as connection:
            enqueue(connection, [frame_id])
        drained()
    assert (query(before), query(settled)) == first
    assert query(_PREDICTIONS) == [(3, 3)]


def test_a_further_field_makes_a_new_revision(engine, store, settings, running, query, drained):
    slide_id = uuid4()
    with running(settings):
        for seed in range(2):
            queue_field(engine, store, smooth_crops(2, seed), slide_id=slide_id)
            drained()
    revision, fields = query("select revision, content->'fields' from slide_results")[0]
    assert (revision, fields) == (2, 2)


@contextmanager
def _store_away(settings):
    """Take the worker's objects away; yield the store at the place where they are meanwhile."""
    away = settings.objects.path.with_name("unmounted")
    settings.objects.path.rename(away)
    yield open_store(DirectoryObjects(path=away))
    away.rename(settings.objects.path)


def test_an_object_store_that_is_away_is_waited_for(
    engine, store, settings, running, query, until, drained
):
    with running(settings) as worker:
        with _store_away(settings) as elsewhere:
            queue_field(engine, elsewhere, smooth_crops(2))
            until(lambda: _fetch(worker.health_port, "/readyz")[0] == 503)
            assert "objects" in _fetch(worker.health_port, "/readyz")[1]
            assert query("select state from frames") == [("pending",)]
        drained()
        assert _fetch(worker.health_port, "/readyz")[0] == 200
    assert query(_STATES) == [("result", None, 1)]


def test_connections_that_are_cut_are_made_again(
    engine, store, settings, running, query, until, drained
):
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    with running(settings) as worker:
        until(lambda: _fetch(worker.health_port, "/readyz")[0] == 200)
        for seed in range(3):
            until(lambda: query(cut) != [])
            queue_field(engine, store, smooth_crops(2, seed))
        drained()
    assert query(_STATES) == [("result", None, 3)]


def test_a_worker_that_stops_gives_back_what_it_cannot_finish(
    engine, store, settings, running, query, until, monkeypatch
):
    monkeypatch.setattr(worker_module, "_GRACE_S", 0.2)
    held = "select count(*) from work where leased_by is not null"
    with _store_away(settings) as elsewhere:
        queue_field(engine, elsewhere, smooth_crops(2))
        monkeypatch.setattr(worker_module, "open_store", lambda _: store)
        with running(settings):
            until(lambda: query(held) == [(1,)])
    assert query(_STATES) == [("pending", None, 1)]
    assert query(held) == [(0,)]
    assert query("select count(*) from work where leased_until <= now()") == [(1,)]
    # However often workers are restarted while the store is away, the field is not to blame.
    assert query("select attempts from work") == [(0,)]


def test_sigterm_ends_the_process_cleanly(engine, store, process, query, until):
    worker = process()
    queue_field(engine, store, smooth_crops(2))
    until(lambda: query(_STATES) == [("result", None, 1)])
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


def test_a_stage_that_breaks_takes_the_worker_with_it(engine, store, settings, query, monkeypatch):
    def broken(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(worker_module, "hand_out", broken)
    queue_field(engine, store, smooth_crops(1))
    with pytest.raises(RuntimeError, match="a defect"):
        Worker(settings).run()
    # What it held goes to whoever is next, at once.
    assert query("select count(*) from work where leased_by is null") == [(1,)]
    # A field may be why, so the attempt counts.
    assert query("select attempts from work") == [(1,)]


def test_metrics_tell_of_fields_cells_and_queue(engine, store, settings, running, drained, until):
    queue_field(engine, store, smooth_crops(3))
    with running(settings) as worker:
        drained()
        until(lambda: "hemaline_infer_queue_depth" in _fetch(worker.health_port, "/metrics")[1])
        _, metrics = _fetch(worker.health_port, "/metrics")
    for name in ("hemaline_infer_cells_total", "hemaline_infer_batch_fill", 'stage="settle"'):
        assert name in metrics
