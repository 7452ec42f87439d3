"""Bad fields, outages and defects: nothing is lost, and nothing stands still."""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import text

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.inference import worker as worker_module
from hemaline_cloud.inference.worker import Worker
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.packing import FieldImages, pack
from hemaline_shared.pixels.encode import encode_crop
from parts.health import ask_health
from parts.queued import FIELD_JPEG, STATES, object_file, queue_field, smooth_crops


def test_a_poisoned_field_is_quarantined_and_the_others_go_on(
    engine, store, settings, running, query, drained
):
    slide_id = uuid4()
    crops = smooth_crops(2)
    good = [queue_field(engine, store, crops, slide_id=slide_id) for _ in range(2)]
    gone = queue_field(engine, store, crops, slide_id=slide_id)
    object_file(settings.objects.path, gone).unlink()
    cut = pack(FieldImages(FIELD_JPEG, (encode_crop(crops[0]), encode_crop(crops[1])[:-20])))
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


def test_a_field_whose_own_image_is_broken_is_quarantined_and_its_object_kept(
    engine, store, settings, running, query, drained
):
    crops = smooth_crops(2)
    packed = pack(FieldImages(b"no JPEG", tuple(map(encode_crop, crops))))
    frame_id = queue_field(engine, store, crops, packed=packed)
    with running(settings):
        drained()
    assert query(STATES) == [("quarantined", "not-an-image", 1)]
    assert object_file(settings.objects.path, frame_id).read_bytes() == packed


def test_a_field_that_was_begun_too_often_is_quarantined(
    engine, store, settings, running, query, drained
):
    queue_field(engine, store, smooth_crops(1))
    with unit_of_work(engine) as connection:
        connection.execute(text("update work set attempts = 5"))
    with running(settings):
        drained()
    assert query(STATES) == [("quarantined", "too-many-attempts", 1)]


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
            until(lambda: ask_health(worker.health_port, "/readyz")[0] == 503)
            assert "objects" in ask_health(worker.health_port, "/readyz")[1]
            assert query("select state from frames") == [("pending",)]
        drained()
        assert ask_health(worker.health_port, "/readyz")[0] == 200
    assert query(STATES) == [("result", None, 1)]


def test_connections_that_are_cut_are_made_again(
    engine, store, settings, running, query, until, drained
):
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    with running(settings) as worker:
        until(lambda: ask_health(worker.health_port, "/readyz")[0] == 200)
        for seed in range(3):
            until(lambda: query(cut) != [])
            queue_field(engine, store, smooth_crops(2, seed))
        drained()
    assert query(STATES) == [("result", None, 3)]


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
    assert query(STATES) == [("pending", None, 1)]
    assert query(held) == [(0,)]
    assert query("select count(*) from work where leased_until <= now()") == [(1,)]
    # However often workers are restarted while the store is away, the field is not to blame.
    assert query("select attempts from work") == [(0,)]


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
