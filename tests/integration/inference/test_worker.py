"""The worker on a real database and a real directory of objects."""

from uuid import uuid4

from parts.queued import queue_field, smooth_crops

_STATES = "select state, reason, count(*) from frames group by 1, 2 order by 1, 2"


def test_queued_fields_become_results(engine, store, settings, running, query, until):
    slide_id = uuid4()
    for seed, cells in enumerate((3, 0, 6)):
        queue_field(engine, store, smooth_crops(cells, seed), slide_id=slide_id)
    with running(settings):
        until(lambda: query("select count(*) from work") == [(0,)])
    assert query(_STATES) == [("result", None, 3)]
    assert query("select count(*), count(distinct cell_id) from cell_predictions") == [(9, 9)]
    ((content, revision),) = query("select content, revision from slide_results")
    assert (content["fields"], content["cells"]) == (3, 9)
    assert sum(content["cells_by_class"].values()) == 9
    assert revision >= 1
