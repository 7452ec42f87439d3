"""Slides become ready by themselves; what is signed stays, whatever comes after."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.results import lock_slides
from hemaline_cloud.database.review import change_review, make_ready
from hemaline_cloud.database.slides import close_slide
from hemaline_cloud.inference.results import made_again
from hemaline_cloud.review.states import Transition
from hemaline_shared.errors import PermanentError
from parts.queued import queue_field, smooth_crops

_REVIEW = "select review, changed_since_signing from slides"
_REVISIONS = "select revision, content from result_revisions order by revision"
_LONG_S = 3600.0


@pytest.fixture
def judged(engine, store, settings, running, drained):
    """Let a worker judge one field of a slide; slides are not made ready meanwhile."""

    def judge(slide_id, seed=0):
        queue_field(engine, store, smooth_crops(3, seed), slide_id=slide_id)
        with running(settings.model_copy(update={"ready_after_s": _LONG_S})):
            drained()
        return slide_id

    return judge


@pytest.fixture
def does(engine):
    def do(verb, *values):
        with unit_of_work(engine) as connection:
            return verb(connection, *values)

    return do


@pytest.fixture
def signed(judged, does, engine):
    """A slide that somebody has signed."""
    slide_id = judged(uuid4())
    does(make_ready, 1e-6)
    does(change_review, slide_id, Transition.BEGIN_REVIEW)
    does(change_review, slide_id, Transition.SIGN)
    _sign(engine, slide_id)
    return slide_id


def _sign(engine, slide_id):
    with unit_of_work(engine) as connection:
        connection.execute(
            text(
                "insert into signatures (signature_id, slide_id, revision, signed_by,"
                " signed_by_name, policy_version, report, report_sha256, amends, reason)"
                " select gen_random_uuid(), slide_id, slides.revision, 'ann', 'Ann', 0, '{}', '',"
                " before.signature_id, case when before.signature_id is not null then 'new' end"
                " from slides left join signatures before using (slide_id)"
                " where slide_id = :slide"
            ),
            {"slide": slide_id},
        )


def test_a_slide_that_its_device_ended_is_ready_at_once(judged, does, query):
    slide_id = judged(uuid4())
    assert does(make_ready, _LONG_S) == []
    does(close_slide, slide_id, 1)
    assert does(make_ready, _LONG_S) == [slide_id]
    assert query(_REVIEW) == [("ready", False)]
    assert does(make_ready, _LONG_S) == []


def test_a_slide_of_which_nothing_came_for_a_while_is_ready(judged, does, engine, store, query):
    slide_id = judged(uuid4())
    queue_field(engine, store, smooth_crops(1), slide_id=slide_id)
    assert does(make_ready, 1e-6) == []  # a frame of it is not settled
    query("delete from work returning 1")
    query("update frames set state = 'result' returning 1")
    assert does(make_ready, _LONG_S) == []
    assert does(make_ready, 1e-6) == [slide_id]


def test_a_running_worker_makes_slides_ready(engine, store, settings, running, query, until):
    queue_field(engine, store, smooth_crops(2))
    with running(settings.model_copy(update={"ready_after_s": 0.01})):
        until(lambda: query(_REVIEW) == [("ready", False)])


def test_a_slide_that_somebody_holds_is_left_to_the_next_time(judged, does, engine):
    slide_id = judged(uuid4())
    with unit_of_work(engine) as connection:
        lock_slides(connection, [slide_id])
        assert does(make_ready, 1e-6) == []
    assert does(make_ready, 1e-6) == [slide_id]


def test_what_the_state_does_not_allow_is_refused(judged, does, query):
    slide_id = judged(uuid4())
    with pytest.raises(PermanentError, match="that is receiving takes no sign"):
        does(change_review, slide_id, Transition.SIGN)
    assert query(_REVIEW) == [("receiving", False)]
    with pytest.raises(PermanentError) as refused:
        does(change_review, uuid4(), Transition.SIGN)
    assert refused.value.reason == "no-such-slide"


def test_a_late_frame_never_changes_what_was_signed(signed, judged, does, engine, query):
    ((revision, content),) = query(_REVISIONS)
    assert query(_REVIEW) == [("signed", False)]
    for seed in range(1, 4):
        judged(signed, seed)
    assert query(_REVIEW) == [("signed", True)]
    (kept, current) = query(_REVISIONS)
    assert kept == (revision, content)
    assert (current[0], current[1]["fields"]) == (4, 4)
    assert does(made_again, signed, revision) == content
    with pytest.raises(IntegrityError, match="signatures"), engine.begin() as connection:
        connection.exec_driver_sql(f"delete from result_revisions where revision = {revision}")


def test_signing_the_newer_result_takes_the_mark_away_and_keeps_both(
    signed, judged, does, engine, query
):
    judged(signed, 1)
    does(change_review, signed, Transition.AMEND)
    _sign(engine, signed)
    assert query(_REVIEW) == [("amended", False)]
    judged(signed, 2)
    assert query(_REVIEW) == [("amended", True)]
    assert [revision for revision, _ in query(_REVISIONS)] == [1, 2, 3]


def test_a_signature_is_never_changed(signed, engine):
    for statement in ("update signatures set signed_by = 'x'", "delete from signatures"):
        with pytest.raises(IntegrityError, match="only ever added"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
