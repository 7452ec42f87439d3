"""Lists at a million slides against ten thousand: `python tests/benchmarks/lists.py`.

Two databases of one server are filled as ingest and workers would have left them: three frames a
slide, most slides complete, one in a hundred open, one in twelve urgent. Worklist, slide page and
ledger are then read as the pages read them: in every order and filter, by search, from the first
page and from pages far down. Each read is timed in one database and then in the other, so that a
busy machine slows both. Ours is the 95th percentile at a million, the baseline that at ten
thousand, of the group whose ratio is worst.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection, Engine, select, text

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.reading.cells import list_cells, preview_cells
from hemaline_cloud.database.reading.fields import field_answers, get_field, strip_around
from hemaline_cloud.database.reading.ledger import count_problems, list_frames
from hemaline_cloud.database.reading.slides import (
    CalledSo,
    SlideKey,
    SlideOrder,
    SlideState,
    count_by_review,
    count_mine,
    get_slide,
    list_slides,
    reasons,
    slides_called,
)
from hemaline_cloud.database.schema import Frame, Slide
from hemaline_cloud.database.slides import miscounted_slides
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.states import ReviewState
from hemaline_shared.ids import accession
from parts.postgres import PostgresPart, as_owner

GOAL = 1.3
_SMALL, _LARGE = 10_000, 1_000_000
_ROUNDS = 60
_PAGE = 41
_READER = Principal("reader", "a reader", "person", sites=frozenset({"north"}))

_Read: TypeAlias = Callable[[Connection, "_Place"], object]


@dataclass(frozen=True, slots=True)
class _Place:
    """A slide to read on from, or to open, with one of its frames."""

    key: SlideKey
    frame: Any
    name: str


def measure() -> dict[str, Any]:
    """Return the 95th percentiles in milliseconds, and each group's ratio."""
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        Path(name).chmod(0o755)  # PostgreSQL runs as another user where this one is root
        postgres = PostgresPart(Path(name) / "postgres")
        postgres.start()
        try:
            return _compare(postgres)
        finally:
            postgres.stop()


def _compare(postgres: PostgresPart) -> dict[str, Any]:
    urls = [postgres.create_migrated() for _ in range(2)]
    for url, slides in zip(urls, (_SMALL, _LARGE), strict=True):
        _fill(url, slides)
    small, large = (make_engine(url, principal=_READER, prepared=False) for url in urls)
    try:
        times = _times(small, large)
    finally:
        small.dispose()
        large.dispose()
    groups = {
        group: {
            "small": _p95([spent for read in reads for spent in times[read][0]]),
            "large": _p95([spent for read in reads for spent in times[read][1]]),
        }
        for group, reads in _GROUPS.items()
    }
    worst = max(groups.values(), key=lambda group: group["large"] / group["small"])
    return {
        "ours": worst["large"],
        "baseline": worst["small"],
        "ratio": worst["large"] / worst["small"],
        "goal": GOAL,
        "unit": "ms",
        "groups": groups,
        "reads": {
            read: {"small": _p95(timed[0]), "large": _p95(timed[1])}
            for read, timed in times.items()
        },
    }


def _p95(times: list[float]) -> float:
    return float(np.percentile(times, 95))


def _times(small: Engine, large: Engine) -> dict[str, tuple[list[float], list[float]]]:
    reads = {name: read for group in _GROUPS.values() for name, read in group.items()}
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in reads}
    dice = random.Random(1)
    places = (_places(small, dice), _places(large, dice))
    for turn in range(_ROUNDS):
        for name, read in reads.items():
            for which, engine in enumerate((small, large)):
                with unit_of_work(engine) as connection:
                    started = time.perf_counter()
                    read(connection, places[which][turn])
                    spent = (time.perf_counter() - started) * 1000
                if turn >= 3:  # the first rounds warm connections and caches
                    times[name][which].append(spent)
    return times


def _places(engine: Engine, dice: random.Random) -> list[_Place]:
    """Return places for each round: mostly near the top of a list, now and then far down."""
    columns = (Slide.urgency, Slide.priority, Slide.opened_at, Slide.slide_id, Slide.slide_name)
    query = select(*columns, Frame.frame_id).join(Frame, Frame.slide_id == Slide.slide_id)
    order = (Slide.urgency.desc(), Slide.opened_at.desc())
    with unit_of_work(engine) as connection:
        slides = connection.scalar(text("select count(*) from slides"))
        far = [dice.randrange(slides) for _ in range(_ROUNDS)]
        rows = [
            connection.execute(
                query.where(Frame.sequence == 1)
                .order_by(*order)
                .offset(far[turn] if turn % 4 == 0 else turn * 40 % 400)
                .limit(1)
            ).one()
            for turn in range(_ROUNDS)
        ]
    return [_Place(SlideKey(*row[:4]), row.frame_id, row.slide_name) for row in rows]


def _worklist(**how: Any) -> _Read:
    def read(connection: Connection, place: _Place) -> None:
        after = place.key if how.get("paged") else None
        chosen = {name: value for name, value in how.items() if name != "paged"}
        rows = list_slides(connection, limit=_PAGE, after=after, **chosen)
        count_by_review(connection)
        count_mine(connection)
        preview_cells(connection, [row.slide_id for row in rows], cells=6)

    return read


def _searched(words: Callable[[_Place], str]) -> _Read:
    def read(connection: Connection, place: _Place) -> None:
        list_slides(
            connection, limit=_PAGE, order=SlideOrder.WORKLIST, called=CalledSo(words(place))
        )

    return read


def _slide(connection: Connection, place: _Place) -> None:
    (slide_id,) = slides_called(connection, accession(place.key.slide_id))
    get_slide(connection, slide_id)
    reasons(connection, slide_id)
    list_cells(connection, slide_id, limit=121)
    strip_around(connection, slide_id, place.frame, reach=20)
    get_field(connection, place.frame)
    field_answers(connection, place.frame)


def _ledger(*states: str, paged: bool = True, of_slide: bool = False) -> _Read:
    def read(connection: Connection, place: _Place) -> None:
        after = place.frame if paged else None
        slide_id = place.key.slide_id if of_slide else None
        list_frames(connection, limit=101, slide_id=slide_id, states=states, after=after)

    return read


_GROUPS: dict[str, dict[str, _Read]] = {
    "worklist": {
        "urgent first": _worklist(order=SlideOrder.WORKLIST),
        "urgent first, on": _worklist(order=SlideOrder.WORKLIST, paged=True),
        "newest, on": _worklist(order=SlideOrder.NEWEST, paged=True),
        **{
            f"{state}, {order}": _worklist(order=order, state=state, paged=True)
            for state in SlideState
            for order in SlideOrder
        },
        **{
            f"{review}, urgent first": _worklist(order=SlideOrder.WORKLIST, review=review)
            for review in (ReviewState.READY, ReviewState.SIGNED)
        },
        "mine": _worklist(order=SlideOrder.WORKLIST, mine=True),
        "search: accession": _searched(lambda place: accession(place.key.slide_id)),
        "search: whole name": _searched(lambda place: place.name),
        "search: end of a name": _searched(lambda place: place.name[-6:]),
        "search: what all names begin with": _searched(lambda _place: "LAB"),
        "search: nothing": _searched(lambda _place: "no such slide"),
    },
    "slide": {"slide": _slide},
    "ledger": {
        "all": _ledger(),
        "pending": _ledger("pending", paged=False),
        "result, on": _ledger("result"),
        "quarantined, on": _ledger("quarantined"),
        "rejected and quarantined, on": _ledger("rejected", "quarantined"),
        "of a slide": _ledger("rejected", "quarantined", paged=False, of_slide=True),
        "counts": lambda connection, _place: count_problems(connection),
    },
}


def _fill(url: str, slides: int) -> None:
    engine = make_engine(as_owner(url), statement_timeout_s=0)
    with unit_of_work(engine) as connection:
        # As a restore does: no trigger, no check of a reference, while rows are copied in.
        connection.execute(text("set local session_replication_role = replica"))
        for statement in _FILL:
            connection.execute(
                text(statement), {"slides": slides} if ":slides" in statement else {}
            )
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("vacuum (analyze)"))
    with unit_of_work(engine) as connection:
        few = connection.scalars(select(Slide.slide_id).limit(200)).all()
        assert miscounted_slides(connection, few) == []
    engine.dispose()


_TIME_ORDERED = """
(lpad(to_hex((1767225600000 + {ms})::bigint), 12, '0') || '7' || substr(md5('{salt}' || {n}), 1, 3)
  || '8' || substr(md5('{salt}' || {n}), 4, 15))::uuid
"""
_SLIDE_ID = _TIME_ORDERED.format(ms="n::bigint * 30000", salt="s", n="n")
_FRAME_ID = _TIME_ORDERED.format(ms="n::bigint * 30000 + k * 900", salt="f", n="(n * 3 + k)")
# The second frame of every tenth slide is rejected, of every hundredth quarantined. One slide in a
# hundred is open: its last frame is pending.
_STATE = """
case when k = 1 and n % 100 = 3 then 'quarantined' when k = 1 and n % 10 = 3 then 'rejected'
     when k = 2 and n % 100 = 50 then 'pending' else 'result' end
"""
_FILL = (
    """
    insert into bundles (sha256, bundle_id, trained, manifest, first_used_at)
    values (repeat('1', 64), 'cells-1', true, '{"tasks": [{"name": "cell-class", "view": "cell",
      "labels": ["blast", "other"]}], "networks": [{"name": "one"}]}', now())
    """,
    f"""
    insert into slides (slide_id, specimen_id, site, device, opened_at, slide_name, priority,
      frames_expected, state, captured, pending, with_result, rejected, quarantined, cells, urgency,
      accession_digits, name_folded, name_backwards, revision, review)
    select {_SLIDE_ID}, gen_random_uuid(), 'north', 'scope-' || n % 40,
      timestamptz '2026-01-01' + n * interval '30 s', 'LAB-2026-' || lpad(n::text, 7, '0'),
      case when n % 200 = 0 then 'stat' else 'routine' end,
      case when n % 200 = 150 then null else 3 end,
      case when n % 200 = 150 then 'receiving' when n % 100 = 50 then 'processing'
           else 'complete' end,
      3, (n % 100 = 50)::int, 3 - (n % 100 = 50)::int - (n % 10 = 3)::int,
      (n % 10 = 3 and n % 100 <> 3)::int, (n % 100 = 3)::int, 2,
      case when n % 100 = 0 then 3 when n % 50 = 1 then 2 when n % 20 = 2 then 1 else 0 end,
      right({_SLIDE_ID}::text, 8), 'lab-2026-' || lpad(n::text, 7, '0'),
      reverse('lab-2026-' || lpad(n::text, 7, '0')), 3,
      case when n % 100 = 50 then 'receiving' when n % 20 = 0 then 'ready' else 'signed' end
    from generate_series(1, :slides) n
    """,
    f"""
    insert into frames (frame_id, slide_id, site, device, sequence, source, edge_version,
      captured_at, received_at, state, reason, detail, quality, settled_at, judged_by)
    select {_FRAME_ID}, {_SLIDE_ID}, 'north', 'scope-' || n % 40, k, 'folder', '0.1.0',
      timestamptz '2026-01-01' + n * interval '30 s',
      timestamptz '2026-01-01' + n * interval '30 s',
      state, case when state in ('rejected', 'quarantined') then 'out-of-focus' end, null,
      '{{"measures": {{"focus": 182.4, "exposure": 0.61}}, "reasons": []}}', now(),
      case when state = 'result' then 1 end
    from generate_series(1, :slides) n, generate_series(0, 2) k, lateral (select {_STATE} as state)
    """,
    """
    insert into fields (frame_id, site, width, height, um_per_px, scale_source, pixel_pipeline,
      finder, object_key, object_size, object_sha256)
    select frame_id, site, 1280, 960, 0.1, 'configured', '1', 'classical-1', 'fields/' || frame_id,
      99000, repeat('a', 64)
    from frames where state in ('result', 'pending')
    """,
    """
    insert into cells (cell_id, frame_id, site, index, "left", top, "right", bottom, confidence)
    select overlay(frame_id::text placing '9' from 20)::uuid, frame_id, site, 0, 10, 10, 90, 90, 0.9
    from fields
    """,
    """
    insert into cell_predictions (frame_id, bundle, site, labels, probabilities, disagreements,
      answers)
    select frame_id, 1, cells.site, 'blast', '{0.75}', '{0.1}', '\\x0001afc83a98'
    from cells join frames using (frame_id) where state = 'result'
    """,
    """
    insert into result_revisions (slide_id, site, revision, bundle, computed_at, reason, content)
    select slide_id, site, 3, 1, now(), 'new-frames', jsonb_build_object(
      'urgency', urgency, 'cells', 2, 'trained', true, 'fields', 2,
      'cells_by_class', '{"blast": 2}'::jsonb,
      'flags', '[{"code": "few-cells", "text": "2 white cells: count at least 100."}]'::jsonb)
    from slides
    """,
)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
