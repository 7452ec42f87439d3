"""Bad fields, outages and defects: nothing is lost, and nothing stands still."""

import shutil
from contextlib import contextmanager
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.inference import isolation, runtime
from hemaline_cloud.inference import worker as worker_module
from hemaline_cloud.inference.ending import RefusesAllError
from hemaline_cloud.inference.runtime import DeviceError
from hemaline_cloud.inference.worker import Worker
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.packing import FieldImages, pack
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.encode import encode_crop
from parts.appointed import appointed
from parts.health import ask_health
from parts.queued import FIELD_JPEG, STATES, object_file, queue_field, smooth_crops
from parts.worker import worker_of


def _appointed(settings) -> Worker:
    """A worker whose answers count."""
    appointed(settings.database_url.get_secret_value(), settings.bundle)
    return worker_of(settings)


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
    with running(settings):
        drained()
    states = dict(query("select frame_id, coalesce(reason, state) from frames"))
    assert states == {
        **dict.fromkeys(good, "result"),
        gone: "object-missing",
        broken: "truncated",
    }
    assert query("select count(*) from frames where settled_at is null") == [(0,)]
    assert query("select (content->>'fields')::int from result_revisions") == [(2,)]


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


def test_what_this_worker_cannot_judge_stays_in_the_queue_and_is_told(
    engine, store, settings, running, query, until
):
    for version in ("0", "2", "2"):
        queue_field(engine, store, smooth_crops(1), pixel_pipeline=version)
    queue_field(engine, store, smooth_crops(2))
    with running(settings) as worker:
        until(lambda: ("result", None, 1) in query(STATES))
        until(lambda: "notices" in ask_health(worker.health_port, "/readyz")[1])
        status, said = ask_health(worker.health_port, "/readyz")
        _, metrics = ask_health(worker.health_port, "/metrics")
    assert status == 200
    assert "2 of pixel pipeline 2" in said
    assert "1 of pixel pipeline 0" in said
    assert "hemaline_infer_queue_parked 3.0" in metrics
    assert query(STATES) == [("pending", None, 3), ("result", None, 1)]
    assert query("select distinct attempts, leased_by from work") == [(0, None)]


def test_work_of_an_older_ingest_is_judged_or_parked_by_what_the_field_says(
    engine, store, settings, running, query, until
):
    for version in ("1", "2"):
        queue_field(engine, store, smooth_crops(1), pixel_pipeline=version)
    with unit_of_work(engine) as connection:
        connection.execute(text("update work set pixel_pipeline = null"))
    with running(settings):
        until(lambda: query(STATES) == [("pending", None, 1), ("result", None, 1)])
        until(lambda: query("select pixel_pipeline from work") == [("2",)])


_POISON = 77


def _is_poison(crops):
    return bool((crops[:, 0, 0, 0] == _POISON).any())


def _poisonous_crops(count):
    return [np.full((CROP_PX, CROP_PX, 3), _POISON, np.uint8)] * count


def _sound_crops(count, seed):
    crops = smooth_crops(count, seed)
    for crop in crops:
        crop[0, 0, 0] = 0
    return crops


@pytest.fixture
def on_run(monkeypatch):
    """Call with a function of the crops: it is called before each run of a network."""
    run = runtime._run

    def install(before):
        def changed(session, crops):
            before(crops)
            return run(session, crops)

        monkeypatch.setattr(runtime, "_run", changed)

    return install


def test_a_field_that_no_network_can_judge_is_quarantined_alone(
    engine, store, settings, running, query, drained, on_run
):
    def fail(crops):
        if _is_poison(crops):
            raise RuntimeError("CUDA failure 719: unspecified launch failure")

    slide_id = uuid4()
    for seed in range(12):
        queue_field(engine, store, _sound_crops(2, seed), slide_id=slide_id)
    poison = queue_field(engine, store, _poisonous_crops(2), slide_id=slide_id)
    on_run(fail)
    with running(settings):
        drained()
    assert query(STATES) == [("quarantined", "inference-failed", 1), ("result", None, 12)]
    ((frame_id, detail),) = query("select frame_id, detail from frames where reason is not null")
    assert frame_id == poison
    assert "unspecified launch failure" in detail
    assert object_file(settings.objects.path, poison).exists()


def test_a_device_that_fails_for_a_while_costs_no_field(
    engine, store, settings, running, query, drained, on_run
):
    failures = iter(range(5))

    def fail(_):
        if next(failures, None) is not None:
            raise RuntimeError("CUDA failure 2: out of memory")

    for seed in range(60):
        queue_field(engine, store, smooth_crops(1, seed))
    with running(settings):
        on_run(fail)
        drained()
    assert query(STATES) == [("result", None, 60)]


def test_a_device_that_fails_for_good_ends_the_worker_and_costs_no_field(
    engine, store, settings, query, on_run, monkeypatch
):
    def fail(_):
        raise RuntimeError("CUDA failure 46: device unavailable")

    monkeypatch.setattr(isolation, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(isolation, "_LONGEST_WAIT_S", 0.01)
    for seed in range(20):
        queue_field(engine, store, smooth_crops(1, seed))
    worker = _appointed(settings)
    on_run(fail)
    with pytest.raises(DeviceError, match=r"self-test failed 8 times .* device unavailable"):
        worker.run()
    assert query(STATES) == [("pending", None, 20)]
    untouched = "select distinct attempts, suspected, leased_by from work"
    assert query(untouched) == [(0, False, None)]


def test_a_worker_that_quarantines_nearly_everything_stops_and_says_what_to_do(
    engine, store, settings, query
):
    """As one would whose decoders do not read what newer edges encode."""
    unreadable = pack(FieldImages(b"an image of tomorrow", ()))
    for _ in range(130):
        queue_field(engine, store, [], packed=unreadable)
    with pytest.raises(RefusesAllError, match=r"frames retry --reason not-an-image"):
        _appointed(settings).run()
    # As many as it takes to see it; the rest waits, unblamed.
    assert query("select count(*) from work") == [(130 - 50,)]
    assert query("select distinct attempts, suspected, leased_by from work") == [(0, False, None)]
    # Started again by a supervisor, with the cause still there, it needs a few to see it.
    with pytest.raises(RefusesAllError, match=r"frames retry --reason not-an-image"):
        worker_of(settings).run()
    assert query("select count(*) from work") == [(130 - 50 - 3,)]


def test_numbers_that_are_none_are_the_devices_until_a_field_gives_them_alone(
    engine, store, settings, running, query, drained, monkeypatch
):
    run = runtime._run

    def spoilt(session, crops):
        output = run(session, crops)
        output.logits[crops[:, 0, 0, 0] == _POISON] = np.nan
        return output

    monkeypatch.setattr(runtime, "_run", spoilt)
    for seed in range(4):
        queue_field(engine, store, _sound_crops(1, seed))
    queue_field(engine, store, _poisonous_crops(1))
    with running(settings):
        drained()
    assert query(STATES) == [("quarantined", "no-finite-logits", 1), ("result", None, 4)]


def test_a_field_that_ended_too_many_workers_alone_is_quarantined(
    engine, store, settings, running, query, drained
):
    queue_field(engine, store, smooth_crops(1))
    with unit_of_work(engine) as connection:
        connection.execute(text("update work set attempts = 5, suspected = true"))
    queue_field(engine, store, smooth_crops(1))
    with running(settings):
        drained()
    assert query(STATES) == [("quarantined", "too-many-attempts", 1), ("result", None, 1)]


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


def test_a_store_without_any_known_object_is_the_wrong_store_and_costs_no_field(
    engine, store, settings, running, query, until, drained
):
    for seed in range(3):
        queue_field(engine, store, smooth_crops(1, seed))
    away = settings.objects.path.with_name("unmounted")
    settings.objects.path.rename(away)
    settings.objects.path.mkdir()  # the mount point is there, and empty
    with running(settings) as worker:
        until(lambda: "not the store" in ask_health(worker.health_port, "/readyz")[1])
        assert query(STATES) == [("pending", None, 3)]
        shutil.rmtree(settings.objects.path)
        away.rename(settings.objects.path)
        drained()
    assert query(STATES) == [("result", None, 3)]


def test_leases_are_extended_for_as_long_as_a_field_is_held(
    engine, store, settings, running, query, until, drained
):
    with running(settings):
        with _store_away(settings) as elsewhere:
            queue_field(engine, elsewhere, smooth_crops(1))
            until(lambda: query("select count(*) from work where leased_by is not null") == [(1,)])
            ((first, holder),) = query("select leased_until, leased_by from work")
            extended = f"select leased_until > '{first}', leased_by, attempts from work"
            until(lambda: query(extended) == [(True, holder, 0)])
        drained()
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
    settings = settings.model_copy(update={"stop_grace_s": 0.2})
    held = "select count(*) from work where leased_by is not null"
    with _store_away(settings) as elsewhere:
        queue_field(engine, elsewhere, smooth_crops(2))
        monkeypatch.setattr(worker_module, "open_store", lambda _: store)
        with running(settings):
            until(lambda: query(held) == [(1,)])
    assert query(STATES) == [("pending", None, 1)]
    assert query(held) == [(0,)]
    # However often workers are restarted while the store is away, the field is not to blame.
    assert query("select attempts from work") == [(0,)]


def test_a_stage_that_breaks_takes_the_worker_with_it(engine, store, settings, query, monkeypatch):
    def broken(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(worker_module, "hand_out", broken)
    queue_field(engine, store, smooth_crops(1))
    with pytest.raises(RuntimeError, match="a defect"):
        _appointed(settings).run()
    # What it held goes to whoever is next, at once: alone, for a field may be why.
    assert query("select leased_by, suspected, attempts from work") == [(None, True, 0)]
