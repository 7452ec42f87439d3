"""Fields end once, together with all that follows from them, under the worker that holds them."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.results import (
    BundleRecord,
    cells_of,
    register_bundle,
)
from hemaline_cloud.database.work import Room, lease
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.heat_maps import HeatMap
from hemaline_cloud.inference.reading import HeldField
from hemaline_cloud.inference.settling import FailedField, JudgedField, Settler
from hemaline_cloud.inference.verdicts import Verdict
from hemaline_shared.errors import PermanentError
from parts.bundles import EVERY_TASK, tiny_trained
from parts.queued import EACH_CELL, PREDICTIONS, queue_field, smooth_crops


def _both(**shares):
    """The answer of each network of the tiny bundle, the same."""
    return {"first": shares, "second": shares}


def _sure(label):
    shares = {"blast": 0.05, "lymphocyte": 0.05, "smudge": 0.0, label: 0.9}
    return Verdict(label, label, 0.9, {"cell-class": _both(**shares)}, 0.0)


_BLAST, _LYMPHOCYTE = _sure("blast"), _sure("lymphocyte")


@pytest.fixture
def bundle(settings, engine):
    bundle = load_bundle(settings.bundle)
    with unit_of_work(engine) as connection:
        manifest = bundle.manifest.model_dump(mode="json")
        register_bundle(connection, BundleRecord(bundle.sha256, "tiny-1", True, manifest))
    return bundle


@pytest.fixture
def held(engine, store):
    """Queue one field of a slide and lease it."""

    def hold(worker="w1", slide_id=None, cells=2):
        queue_field(engine, store, smooth_crops(cells), slide_id=slide_id)
        with unit_of_work(engine) as connection:
            (leased,) = lease(connection, worker, Room(["1"], fields=1), 60).fields
            return HeldField(
                leased, tuple(cells_of(connection, [leased.frame_id]).get(leased.frame_id, ()))
            )

    return hold


def test_a_field_that_another_worker_took_over_is_dropped(engine, bundle, held, query):
    field = held("w1")
    with unit_of_work(engine) as connection:
        connection.execute(text("update work set leased_by = 'w2'"))
    assert Settler(engine, "w1", bundle).settle([JudgedField(field, [_BLAST] * 2)]) == []
    assert query(PREDICTIONS) == [(0, 0)]
    assert query("select state from frames") == [("pending",)]
    late = JudgedField(field, [_LYMPHOCYTE] * 2)
    assert Settler(engine, "w2", bundle).settle([late]) == [late]
    assert query(f"select distinct label from {EACH_CELL}") == [("lymphocyte",)]


def test_settling_twice_counts_once(engine, bundle, held, query):
    field = JudgedField(held(), [_BLAST] * 2)
    settler = Settler(engine, "w1", bundle)
    assert settler.settle([field]) == [field]
    assert settler.settle([field]) == []
    assert query("select revision, content->'cells' from result_revisions") == [(1, 2)]


def test_a_field_that_the_database_refuses_fails_without_its_neighbours(
    engine, bundle, held, query
):
    sound = held()
    wrong = held()
    unstorable = Verdict("a NUL \x00 that PostgreSQL has no place for")
    judged = [JudgedField(sound, [_BLAST] * 2), JudgedField(wrong, [_BLAST, unstorable])]
    ended = Settler(engine, "w1", bundle).settle(judged)
    assert [type(field) for field in ended] == [JudgedField, FailedField]
    states = dict(query("select frame_id, coalesce(reason, state) from frames"))
    assert states == {sound.lease.frame_id: "result", wrong.lease.frame_id: "unstorable"}
    assert query(PREDICTIONS) == [(2, 2)]


def test_a_quarantine_that_the_database_refuses_is_an_error(engine, bundle, held):
    failed = FailedField(held(), "bad-detail", "a NUL \x00 that PostgreSQL has no place for")
    with pytest.raises(PermanentError, match="NUL"):
        Settler(engine, "w1", bundle).settle([failed])


def test_a_slide_of_nothing_but_quarantined_fields_has_a_result_of_no_cells(
    engine, bundle, held, query
):
    Settler(engine, "w1", bundle).settle([FailedField(held(), "object-missing", "gone")])
    assert query("select content->'fields', content->'cells' from result_revisions") == [(0, 0)]


def test_cells_count_by_the_bundle_that_judged_their_field_whatever_others_said(
    engine, bundle, settings, held, query, tmp_path
):
    slide_id = uuid4()
    first, second = held(slide_id=slide_id), held(slide_id=slide_id)
    Settler(engine, "w1", bundle).settle(
        [JudgedField(field, [_BLAST] * 2) for field in (first, second)]
    )
    with unit_of_work(engine) as connection:
        manifest = bundle.manifest.model_dump(mode="json")
        register_bundle(connection, BundleRecord("f" * 64, "tiny-2", True, manifest))
        connection.execute(
            text(
                "insert into cell_predictions (frame_id, bundle, labels)"
                " select :frame, number, 'lymphocyte,lymphocyte' from bundles"
                " where sha256 = :bundle"
            ),
            {"frame": first.lease.frame_id, "bundle": "f" * 64},
        )
    third = JudgedField(held(slide_id=slide_id), [_LYMPHOCYTE] * 2)
    _every(settings, tmp_path, engine).settle([third])
    ((content,),) = query("select content from result_revisions order by revision desc limit 1")
    assert content["cells_by_class"] == {"blast": 4, "lymphocyte": 2}
    assert "mixed-models" in [flag["code"] for flag in content["flags"]]


def _every(settings, tmp_path, engine):
    bundle = load_bundle(tiny_trained(tmp_path / "every", EVERY_TASK))
    with unit_of_work(engine) as connection:
        manifest = bundle.manifest.model_dump(mode="json")
        register_bundle(connection, BundleRecord(bundle.sha256, "tiny-1", True, manifest))
    return Settler(engine, "w1", bundle)


def _apl(probability):
    said = {
        "cell-class": _both(blast=0.9, lymphocyte=0.1, smudge=0.0),
        "apl": _both(**{"AML-nonAPL": 1 - probability, "APL": probability}),
    }
    return Verdict("blast", "blast", 0.9, said, 0.1, HeatMap(2, b"\x00\x10\x20\xff"))


def test_a_slide_averages_what_was_said_of_its_cells_and_of_its_fields(
    engine, settings, held, query, tmp_path
):
    settler = _every(settings, tmp_path, engine)
    slide_id = uuid4()
    for apl, benign in ((0.5, 0.25), (0.9, 0.75)):
        field = held(slide_id=slide_id, cells=6)
        answers = {"all-subtype": _both(**{"benign": benign, "pro-b": 1 - benign})}
        settler.settle([JudgedField(field, [_apl(apl)] * 6, answers)])
    ((content,),) = query("select content from result_revisions")
    assert content["apl"]["cells"] == 12
    assert content["apl"]["probability"] == 0.7
    assert content["apl"]["low"] < 0.7 < content["apl"]["high"]
    assert "apl-suspected" in [flag["code"] for flag in content["flags"]]
    assert content["all_subtype"] == {
        "fields": 2,
        "shares": [
            {"label": "benign", "probability": 0.5},
            {"label": "pro-b", "probability": 0.5},
        ],
    }


def test_a_field_without_a_cell_still_says_something_of_itself(
    engine, settings, held, query, tmp_path
):
    settler = _every(settings, tmp_path, engine)
    answers = {"all-subtype": _both(**{"benign": 1.0, "pro-b": 0.0})}
    field = held(cells=0)
    for _ in range(2):  # what a second worker says of it changes nothing
        settler.settle([JudgedField(field, [], answers)])
    assert query("select count(*) from field_predictions") == [(1,)]
    ((content,),) = query("select content from result_revisions")
    assert (content["cells"], content["apl"], content["all_subtype"]["fields"]) == (0, None, 1)


def test_what_an_older_bundle_was_not_asked_is_not_counted(
    engine, bundle, settings, held, query, tmp_path
):
    slide_id = uuid4()
    old = held(slide_id=slide_id)
    Settler(engine, "w1", bundle).settle([JudgedField(old, [_BLAST] * 2)])
    settler = _every(settings, tmp_path, engine)
    settler.settle([JudgedField(held(slide_id=slide_id, cells=11), [_apl(0.2)] * 11)])
    ((content,),) = query("select content from result_revisions order by revision desc limit 1")
    assert (content["cells"], content["apl"]["cells"]) == (13, 11)


def test_a_heat_map_and_the_disagreement_are_kept_beside_the_label(
    engine, settings, held, query, tmp_path
):
    settler = _every(settings, tmp_path, engine)
    settler.settle([JudgedField(held(cells=1), [_apl(0.5)])])
    stored = query("select disagreements, heats, heat_map_width from cell_predictions")
    assert stored == [([pytest.approx(0.1)], b"\x01\x2f", 2)]
