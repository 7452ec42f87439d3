"""The worker on a real database and a real directory of objects."""

from uuid import uuid4

import numpy as np
import pytest

from hemaline_cloud.database.answers import AnswerLayout
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.predictions import said_of_cells
from hemaline_cloud.database.work import enqueue
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.runtime import Networks
from hemaline_cloud.inference.verdicts import judge
from hemaline_shared.packing import unpack
from hemaline_shared.pixels.decode import decode_image
from parts.bundles import EVERY_TASK, FIRST_LOOK, tiny_trained, tiny_untrained
from parts.health import ask_health
from parts.queued import EACH_CELL, PREDICTIONS, STATES, object_file, queue_field, smooth_crops


def test_queued_fields_become_results(engine, store, settings, running, query, drained):
    slide_id = uuid4()
    for seed, cells in enumerate((3, 0, 6)):
        queue_field(engine, store, smooth_crops(cells, seed), slide_id=slide_id)
    with running(settings):
        drained()
    assert query(STATES) == [("result", None, 3)]
    assert query(PREDICTIONS) == [(9, 9)]
    ((content, bundle),) = query(
        "select content, sha256 from result_revisions join bundles on number = bundle"
    )
    assert (content["fields"], content["cells"]) == (3, 9)
    assert sum(content["cells_by_class"].values()) == 9
    assert bundle == load_bundle(settings.bundle).sha256


def test_work_that_comes_later_is_heard_of(engine, store, settings, running, query, until):
    with running(settings) as worker:
        until(lambda: ask_health(worker.health_port, "/readyz")[0] == 200)
        queue_field(engine, store, smooth_crops(1))
        until(lambda: query(STATES) == [("result", None, 1)])


def test_an_untrained_bundle_stores_no_number(
    engine, store, settings, running, query, drained, tmp_path
):
    queue_field(engine, store, smooth_crops(3))
    bundle = tiny_untrained(tmp_path / "untrained")
    with running(settings.model_copy(update={"bundle": bundle})):
        drained()
    stored = "select labels, probabilities, disagreements, answers, heats from cell_predictions"
    assert query(stored) == [("unclassified,unclassified,unclassified", None, None, None, None)]
    ((content,),) = query("select content from result_revisions")
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
        ((labels, probabilities, answers),) = query(
            "select labels, probabilities, answers from cell_predictions"
            f" where frame_id = '{frame_id}'"
        )
        layout = AnswerLayout.of(bundle.manifest.model_dump(), "cell")
        assert labels.split(",") == [verdict.label for verdict in again]
        assert probabilities == pytest.approx([v.probability for v in again], rel=1e-6)
        assert layout.split(answers) == [layout.pack(v.probabilities) for v in again]
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
    assert query(STATES) == [("result", None, 3)]
    assert query(PREDICTIONS) == [(9, 9)]
    answers = query("select probabilities from field_predictions")
    assert len(answers) == 3
    layout = AnswerLayout.of(load_bundle(bundle).manifest.model_dump(), "field")
    for said in (layout.unpack(packed) for (packed,) in answers):
        assert set(said) == {"all-subtype"}
        assert set(said["all-subtype"]) == {"first", "second", "average"}
        assert sum(said["all-subtype"]["average"].values()) == pytest.approx(1)
    shapes = query(
        "select length(heats) / cardinality(disagreements), heat_map_width from cell_predictions"
    )
    assert shapes == [(56 * 56 // 2, 56)] * 2
    assert query(f"select distinct disagreement between 0 and 1 from {EACH_CELL}") == [(True,)]
    ((content,),) = query("select content from result_revisions")
    assert content["all_subtype"]["fields"] == 3


def test_what_one_network_answered_alone_is_stored_so_and_enters_the_result(
    engine, store, settings, running, query, drained, tmp_path
):
    colours = np.random.default_rng(0).integers(0, 256, (10, 1, 1, 3), np.uint8)
    crops = [np.broadcast_to(colour, (224, 224, 3)).copy() for colour in colours]
    frame_id = queue_field(engine, store, crops)
    bundle = tiny_trained(tmp_path / "in-turn", EVERY_TASK, FIRST_LOOK)
    with running(settings.model_copy(update={"bundle": bundle})):
        drained()
    with unit_of_work(engine) as connection:
        said = said_of_cells(connection, [frame_id])[frame_id]
    asked = {tuple(one.answers["cell-class"]) for one in said}
    assert asked == {("first", "average"), ("first", "second", "average")}
    ((content,),) = query("select content from result_revisions")
    assert content["cells"] == sum(content["cells_by_class"].values()) == 10


def test_two_workers_share_a_slide_and_count_each_cell_once(
    engine, store, settings, running, query, until, drained, slide_held
):
    slide_id = uuid4()
    for seed in range(24):
        queue_field(engine, store, smooth_crops(2, seed), slide_id=slide_id)
    holders = "select count(distinct leased_by) from work"
    with running(settings), running(settings.model_copy(update={"worker": "w2"})):
        with slide_held(slide_id):
            until(lambda: query(holders) == [(2,)])
        drained()
    assert query(PREDICTIONS) == [(48, 48)]
    ((content,),) = query("select content from result_revisions")
    assert (content["fields"], content["cells"]) == (24, 48)


def test_a_replayed_field_changes_nothing(engine, store, settings, running, query, drained):
    frame_id = queue_field(engine, store, smooth_crops(3))
    before = "select revision, computed_at, content from result_revisions"
    settled = "select state, settled_at from frames"
    with running(settings):
        drained()
        first = query(before), query(settled)
        with unit_of_work(engine) as connection:
            enqueue(connection, [frame_id])
        drained()
    assert (query(before), query(settled)) == first
    assert query(PREDICTIONS) == [(3, 3)]


def test_a_further_field_makes_a_new_revision(engine, store, settings, running, query, drained):
    slide_id = uuid4()
    with running(settings):
        for seed in range(2):
            queue_field(engine, store, smooth_crops(2, seed), slide_id=slide_id)
            drained()
    revision, fields = query("select revision, content->'fields' from result_revisions")[0]
    assert (revision, fields) == (2, 2)


def test_metrics_tell_of_fields_cells_and_queue(engine, store, settings, running, drained, until):
    queue_field(engine, store, smooth_crops(3))
    with running(settings) as worker:
        drained()
        until(lambda: "hemaline_infer_queue_depth" in ask_health(worker.health_port, "/metrics")[1])
        _, metrics = ask_health(worker.health_port, "/metrics")
    for name in ("hemaline_infer_cells_total", "hemaline_infer_batch_fill", 'stage="settle"'):
        assert name in metrics
