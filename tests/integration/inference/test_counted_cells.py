"""A cell counts once or not at all, in whatever order a slide's fields are settled."""

from itertools import permutations
from uuid import uuid4

import numpy as np
import pytest

from drawn_fields import draw_field
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.quarantine import retry_frame
from hemaline_cloud.database.results import BundleRecord, cells_of, register_bundle
from hemaline_cloud.database.slides import close_slide
from hemaline_cloud.database.work import Room, lease
from hemaline_cloud.inference import places as places_module
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.places import Places
from hemaline_cloud.inference.reading import HeldField, read_field
from hemaline_cloud.inference.settling import FailedField, JudgedField, Settler
from hemaline_cloud.inference.verdicts import Verdict
from hemaline_cloud.principal import operator
from hemaline_shared.pixels.types import Box
from parts.overlapping import window
from parts.queued import queue_field, smooth_crops

_SMEAR = draw_field(1600, 900, cells=9, seed=4, red_cells=420)
_VIEWS = (Box(0, 100, 800, 700), Box(350, 150, 1150, 750), Box(700, 120, 1500, 720))
"""The second overlaps the others; the first and the third share a strip at most."""
_LYMPHOCYTE = Verdict("lymphocyte", "lymphocyte", 0.9, {}, 0.0)
_CELLS = "select excluded, same_as = cell_id, count(*) from cells group by 1, 2 order by 1, 2"
_LOOKS = "select count(*) from field_looks"


@pytest.fixture
def settle(engine, store, settings):
    """Queue fields of one slide that show some boxes, and settle them in an order."""
    bundle = load_bundle(settings.bundle)
    manifest = bundle.manifest.model_dump(mode="json")
    with unit_of_work(engine) as connection:
        register_bundle(connection, BundleRecord(bundle.sha256, "tiny-1", True, manifest))

    def settled(fields, order=None, *, together=False, settlers=1, closed=False, failing=None):
        slide_id, held = uuid4(), []
        for sequence, (picture, boxes) in enumerate(fields):
            crops = smooth_crops(len(boxes))
            queue_field(
                engine,
                store,
                crops,
                slide_id=slide_id,
                shows=(picture, boxes),
                sequence=sequence,
            )
            with unit_of_work(engine) as connection:
                (leased,) = lease(connection, "w1", Room(["1"], fields=1), 60).fields
                held.append(
                    HeldField(
                        leased, tuple(cells_of(connection, [leased.frame_id])[leased.frame_id])
                    )
                )
        if closed:
            with unit_of_work(engine) as connection:
                close_slide(connection, slide_id, len(held))
        judged = []
        for place, one in enumerate(held):
            look = read_field(store, one).look
            verdicts = [_LYMPHOCYTE] * len(one.cell_ids)
            judged.append(
                FailedField(one, "undecodable", "broken")
                if place == failing
                else JudgedField(one, verdicts, None, look)
            )
        workers = [Settler(engine, "w1", bundle) for _ in range(settlers)]
        if together:
            workers[0].settle(judged)
        for turn, place in enumerate(() if together else order or range(len(judged))):
            workers[turn % settlers].settle([judged[place]])
        return slide_id, [one.cell_ids for one in held]

    return settled


def _fields():
    dice = np.random.default_rng(2)
    shown = [window(_SMEAR.image, _SMEAR.boxes, view, dice) for view in _VIEWS]
    return [(picture, list(cells.values())) for picture, cells in shown], [
        list(cells) for _, cells in shown
    ]


def _counting(query):
    ((content,),) = query("select content from result_revisions")
    return content["counting"]


def test_a_cell_that_the_border_cuts_does_not_count(settle, query):
    picture = _SMEAR.image[:600, :800]
    boxes = [
        Box(0, 50, 60, 110),
        Box(50, 0, 110, 60),
        Box(740, 50, 800, 110),
        Box(50, 541, 110, 600),
    ]
    settle([(picture, [*boxes, Box(300, 200, 380, 290)])])
    assert query(_CELLS) == [("cut-by-border", None, 4), (None, None, 1)]
    assert _counting(query)["excluded"] == {"cut-by-border": 4}
    assert _counting(query)["counted"] == 1


def test_of_a_cell_in_several_fields_the_first_in_capture_counts(settle, query):
    fields, places = _fields()
    _, cells = settle(fields)
    distinct = len({place for field in places for place in field})
    found = sum(map(len, places))
    assert found > distinct
    assert _counting(query) == {
        "found": found,
        "counted": distinct,
        "excluded": {"seen-before": found - distinct},
        "named": distinct,
        "unclassified": 0,
    }
    excluded = {row[0] for row in query("select cell_id from cells where excluded is not null")}
    assert not excluded & set(cells[0])


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("settlers", [1, 2])
def test_the_order_of_settling_changes_nothing(settle, query, order, settlers):
    fields, places = _fields()
    _, cells = settle(fields, order, settlers=settlers)
    first = {}
    for field, ids in zip(places, cells, strict=True):
        for place, cell in zip(field, ids, strict=True):
            first.setdefault(place, cell)
    rows = query("select cell_id from cells where excluded is null")
    assert {row[0] for row in rows} == set(first.values())


def test_fields_that_are_settled_in_one_transaction_are_matched_too(settle, query):
    fields, places = _fields()
    settle(fields, together=True)
    assert _counting(query)["counted"] == len({place for field in places for place in field})


def test_the_same_field_twice_counts_once(settle, query):
    (picture, boxes) = _fields()[0][0]
    settle([(picture, boxes), (picture, boxes)])
    assert _counting(query)["counted"] == len(boxes)


def test_fields_of_other_slides_are_not_compared(settle, query):
    (field, *_), _ = _fields()
    settle([field])
    settle([field])
    assert query("select count(*) from cells where excluded is not null") == [(0,)]


def test_settling_again_by_another_bundle_changes_nothing(settle, engine, store, settings, query):
    fields, _ = _fields()
    slide_id, _ = settle(fields)
    before = query(_CELLS)
    with unit_of_work(engine) as connection:
        frames = [row[0] for row in query("select frame_id from frames order by sequence")]
        Places().mark_repeats(connection, slide_id, frames)
    assert query(_CELLS) == before


def test_memory_holds_so_many_fields_and_the_others_are_read_again(
    settle, engine, query, monkeypatch
):
    monkeypatch.setattr(places_module, "_REMEMBERED", 2)
    slide_id, _ = settle(_fields()[0])
    before = query(_CELLS)
    read = []
    load = places_module.counted_cells.load_fields
    monkeypatch.setattr(
        places_module.counted_cells,
        "load_fields",
        lambda connection, missing: (read.append(len(missing)), load(connection, missing))[1],
    )
    places = Places()
    frames = [row[0] for row in query("select frame_id from frames order by sequence")]
    for _ in range(2):
        with unit_of_work(engine) as connection:
            places.mark_repeats(connection, slide_id, frames)
    assert read == [3, 1]
    assert query(_CELLS) == before


def test_looks_are_kept_while_the_slide_may_get_another_field(settle, engine, query):
    fields, _ = _fields()
    slide_id, _ = settle(fields)
    assert query(_LOOKS) == [(3,)]
    with unit_of_work(engine) as connection:
        close_slide(connection, slide_id, 4)  # one is still to come
    assert query(_LOOKS) == [(3,)]


def test_looks_go_with_the_last_field_of_a_slide(settle, query):
    """They go at the end of its transaction: it was compared with the others before."""
    fields, places = _fields()
    settle(fields, closed=True)
    assert query("select state from slides") == [("complete",)]
    assert _counting(query)["counted"] == len({place for field in places for place in field})
    assert query(_LOOKS) == [(0,)]


def test_looks_go_when_a_slide_is_closed_after_its_last_field(settle, engine, query):
    fields, _ = _fields()
    slide_id, _ = settle(fields)
    settle(fields[:1])  # another slide, which is open
    with unit_of_work(engine) as connection:
        close_slide(connection, slide_id, len(fields))
    assert query(_LOOKS) == [(1,)]


def test_a_field_that_comes_back_from_quarantine_is_compared_with_the_others(
    settle, engine, store, settings, query
):
    fields, places = _fields()
    settle(fields, closed=True, failing=1)
    assert query("select state from slides") == [("complete",)]
    assert query(_LOOKS) == [(2,)]
    ((frame_id,),) = query("select frame_id from frames where state = 'quarantined'")
    bundle = load_bundle(settings.bundle)
    with unit_of_work(engine) as connection:
        retry_frame(connection, operator("ada@desk"), frame_id)
        (leased,) = lease(connection, "w1", Room(["1"], fields=1), 60).fields
        held = HeldField(leased, tuple(cells_of(connection, [frame_id])[frame_id]))
    look = read_field(store, held).look
    verdicts = [_LYMPHOCYTE] * len(held.cell_ids)
    Settler(engine, "w1", bundle).settle([JudgedField(held, verdicts, None, look)])
    assert _counting(query)["counted"] == len({place for field in places for place in field})
    assert query(_LOOKS) == [(0,)]
