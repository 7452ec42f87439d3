"""Results of a slide are only added: what is referred to never changes, and can be made again."""

from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.results import BundleRecord, register_bundle
from hemaline_cloud.database.revision_inputs import RevisionInputs
from hemaline_cloud.database.revisions import append_revision
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.results import made_again
from hemaline_shared.errors import PermanentError
from parts.bundles import EVERY_TASK, tiny_trained
from parts.queued import queue_field, smooth_crops

_KEPT = "select revision, reason from result_revisions order by revision"


@pytest.fixture
def judged(engine, store, settings, running, drained):
    """Let a worker judge so many further fields of a slide, one after another."""

    def judge(slide_id, fields, bundle=None, cells=3):
        chosen = settings.model_copy(update={"bundle": bundle or settings.bundle})
        with running(chosen):
            for seed in range(fields):
                queue_field(engine, store, smooth_crops(cells, seed), slide_id=slide_id)
                drained()

    return judge


def test_fields_that_come_one_by_one_leave_one_revision(judged, query):
    judged(uuid4(), 5)
    assert query(_KEPT) == [(5, "new-frames")]
    assert query("select revision, cells from slides") == [(5, 15)]


def test_the_last_revision_of_each_bundle_is_kept(judged, query, tmp_path):
    slide_id = uuid4()
    judged(slide_id, 2)
    judged(slide_id, 2, tiny_trained(tmp_path / "every", EVERY_TASK))
    assert query(_KEPT) == [(2, "new-frames"), (4, "new-frames")]
    assert query("select revision from slides") == [(4,)]


def test_a_kept_revision_is_made_again_bit_for_bit(engine, judged, query, tmp_path):
    slide_id = uuid4()
    judged(slide_id, 3)
    judged(slide_id, 2, tiny_trained(tmp_path / "every", EVERY_TASK), cells=6)
    # Cells that count change later; a revision keeps which counted for it.
    query("update cells set excluded = 'seen-before' where index = 0 returning 1")
    kept = query("select revision, content from result_revisions order by revision")
    assert [revision for revision, _ in kept] == [3, 5]
    with unit_of_work(engine) as connection:
        for revision, content in kept:
            assert made_again(connection, slide_id, revision) == content


def test_other_cells_that_count_make_a_recount(engine, judged, query, settings):
    slide_id = uuid4()
    judged(slide_id, 1)
    sha256 = load_bundle(settings.bundle).sha256
    ((content, inputs),) = query("select content, inputs from result_revisions")
    same = RevisionInputs.unpack(bytes(inputs))
    with unit_of_work(engine) as connection:
        assert append_revision(connection, slide_id, sha256, same, content) is None
        assert append_revision(connection, slide_id, sha256, same, {**content, "cells": 2}) == 2
    assert query(_KEPT) == [(2, "recount")]


def test_another_bundle_makes_a_new_revision_even_of_the_same_content(engine, judged, query):
    slide_id = uuid4()
    judged(slide_id, 1)
    ((content, inputs),) = query("select content, inputs from result_revisions")
    same = RevisionInputs.unpack(bytes(inputs))
    with unit_of_work(engine) as connection:
        register_bundle(connection, BundleRecord("f" * 64, "tiny-2", True, {}))
        for revision in (2, None):
            assert append_revision(connection, slide_id, "f" * 64, same, content) == revision
    assert query(_KEPT) == [(1, "new-frames"), (2, "new-bundle")]


def test_a_revision_cannot_be_changed_and_the_current_one_not_deleted(engine, judged):
    judged(uuid4(), 1)
    for statement, refusal in (
        ("update result_revisions set content = '{}'", "only ever added"),
        ("delete from result_revisions", "fk_slides_revision_result_revisions"),
    ):
        with pytest.raises(IntegrityError, match=refusal), engine.begin() as connection:
            connection.exec_driver_sql(statement)


def test_a_revision_of_before_inputs_were_kept_is_not_made_again(engine, judged, query):
    slide_id = uuid4()
    judged(slide_id, 1)
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "insert into result_revisions"
            " (slide_id, revision, bundle, computed_at, reason, content)"
            " select slide_id, 2, bundle, computed_at, reason, content from result_revisions"
        )
        with pytest.raises(PermanentError, match="did not keep"):
            made_again(connection, slide_id, 2)
        with pytest.raises(PermanentError, match="has no revision 9"):
            made_again(connection, slide_id, 9)
