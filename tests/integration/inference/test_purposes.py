"""Only the answers of the appointed bundle count; a trial's are kept and change nothing."""

import threading
from uuid import uuid4

import pytest

from hemaline_cloud.database.appointments import end_trial
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.purposes import Sites
from hemaline_cloud.database.work import Room, enqueue, lease
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.principal import operator
from parts.appointed import appointed
from parts.bundles import EVERY_TASK, tiny_trained
from parts.health import ask_health
from parts.queued import EACH_CELL, STATES, object_file, queue_field, smooth_crops
from parts.worker import worker_of

_WAITING = "select purpose, count(*) from work group by 1 order by 1"
_RESULTS = "select slide_id, revision, computed_at, content from result_revisions"


@pytest.fixture
def url(settings):
    return settings.database_url.get_secret_value()


@pytest.fixture
def tried(settings, tmp_path):
    """Settings of a worker that serves another bundle on trial."""
    bundle = tiny_trained(tmp_path / "tried", EVERY_TASK)
    return settings.model_copy(update={"bundle": bundle, "purpose": "trial", "worker": "t1"})


def test_a_bundle_that_nobody_appointed_judges_nothing_and_says_so(
    engine, store, settings, query, until, url
):
    queue_field(engine, store, smooth_crops(2))
    worker = worker_of(settings)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        sha256 = load_bundle(settings.bundle).sha256
        verb = f"hemaline-cloud bundles appoint {sha256[:12]}"
        until(lambda: verb in ask_health(worker.health_port, "/readyz")[1])
        assert ask_health(worker.health_port, "/readyz")[0] == 200
        assert query("select leased_by from work") == [(None,)]
        assert query("select count(*) from bundles") == [(1,)]
        appointed(url, sha256)
        until(lambda: query(STATES) == [("result", None, 1)])
    finally:
        worker.stop()
        thread.join()


def test_a_trial_changes_no_frame_no_slide_and_no_result(
    engine, store, settings, tried, running, query, until, url
):
    slide_id = uuid4()
    with running(settings):
        appointed(url, tried.bundle, "trial")
        frames = [
            queue_field(engine, store, smooth_crops(3, seed), slide_id=slide_id)
            for seed in range(2)
        ]
        until(lambda: query(STATES) == [("result", None, 2)])
    assert query(_WAITING) == [("trial", 2)]
    before = query(_RESULTS), query("select * from slides"), query("select * from frames")
    with running(tried):
        until(lambda: query(_WAITING) == [])
    assert (query(_RESULTS), query("select * from slides"), query("select * from frames")) == before
    judged = query(
        "select frame_id, bundle_id from trial_judgements join bundles on number = bundle"
    )
    tried_id = load_bundle(tried.bundle).manifest.bundle_id
    assert sorted(judged) == sorted((frame, tried_id) for frame in frames)
    assert query(f"select count(*) from {EACH_CELL} group by bundle") == [(6,), (6,)]


def test_a_trial_that_comes_first_gives_no_result(engine, store, tried, running, query, until, url):
    appointed(url, tried.bundle, "trial")
    queue_field(engine, store, smooth_crops(3))
    with running(tried):
        until(lambda: query(_WAITING) == [("active", 1)])
    assert query(STATES) == [("pending", None, 1)]
    assert query(_RESULTS) == []
    assert query("select count(*) from trial_judgements") == [(1,)]


def test_a_field_that_a_trial_cannot_judge_is_not_quarantined(
    engine, store, settings, tried, running, query, until, url
):
    appointed(url, tried.bundle, "trial")
    frame = queue_field(engine, store, smooth_crops(2))
    object_file(settings.objects.path, frame).unlink()
    queue_field(engine, store, smooth_crops(2))
    with running(tried):
        until(lambda: query(_WAITING) == [("active", 2)])
    assert query(STATES) == [("pending", None, 2)]
    assert query("select count(*) from trial_judgements") == [(1,)]


def test_a_bundle_of_one_site_takes_no_field_of_another(engine, store, query):
    queue_field(engine, store, [])  # of the site `lab`
    for sites, fields in (
        (_sites("north"), 0),
        (_sites("lab", others=True), 0),
        (_sites("lab"), 1),
    ):
        with unit_of_work(engine) as connection:
            leased = lease(connection, "w1", Room(["1"], fields=1, sites=sites), 60)
        assert len(leased.fields) == fields


def test_a_trials_end_takes_its_work_out_of_the_queue_and_keeps_its_answers(
    engine, store, tried, running, query, until, url
):
    appointed(url, tried.bundle, "trial", "lab")
    queue_field(engine, store, smooth_crops(2))
    with running(tried):
        until(lambda: query(_WAITING) == [("active", 1)])
    later = queue_field(engine, store, smooth_crops(2))
    with unit_of_work(engine) as connection:
        assert end_trial(connection, operator("ann"))
        enqueue(connection, [later])
    assert query(_WAITING) == [("active", 2)]
    assert query("select count(*) from trial_judgements") == [(1,)]


def _sites(*names, others=False):
    return Sites(frozenset(names), others)
