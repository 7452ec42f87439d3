"""Whether all frames are there, each once, in one state, with its images: counted anew."""

import hashlib
from dataclasses import dataclass
from typing import Any

import psycopg

from faults.system import Campground
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.slides import miscounted_slides
from hemaline_cloud.objects.store import open_store
from parts.postgres import as_owner
from parts.queued import EACH_CELL

_FINGERPRINT = """
    select md5(string_agg(t::text, '|' order by t::text)) from (
        select frame_id, slide_id, state, reason, settled_at from frames) t
    union all
    select md5(string_agg(t::text, '|' order by t::text)) from (
        select frame_id, labels from cell_predictions) t
    union all
    select md5(string_agg(t::text, '|' order by t::text)) from (
        select slide_id, revision from result_revisions) t
"""


@dataclass(frozen=True, slots=True)
class Account:
    """What the campaign put in, and what the ledger holds of it.

    Attributes:
        pictures: Files in the devices' folders.
        states: State -> frames.
        double: Pictures with more than one frame, or cells with more than one prediction.
        lost: Pictures without a frame, or frames without an end.
        wrong_objects: Fields whose object is missing or has another SHA-256.
        blamed: Good frames that were quarantined, and messages in dead letters.
        miscounted: Slides whose own counters differ from a recount.
    """

    pictures: int
    states: dict[str, int]
    double: int
    lost: int
    wrong_objects: int
    blamed: int
    miscounted: int

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled, mixed up or blamed."""
        return not any((self.double, self.lost, self.wrong_objects, self.blamed, self.miscounted))


def settled(ground: Campground, pictures: int) -> bool:
    """Whether the ledger has so many frames, and nothing is pending or queued."""
    try:
        with psycopg.connect(as_owner(ground.database_url), connect_timeout=5) as connection:
            row = _row(
                connection,
                "select count(*), count(*) filter (where state = 'pending'),"
                " (select count(*) from work) from frames",
            )
    except psycopg.Error:
        return False
    return row[0] >= pictures and row[1:] == (0, 0)


def take_account(ground: Campground, pictures: int) -> Account:
    """Count, and read every object again."""
    captured = {agent.device: agent.captured for agent in ground.agents}
    with psycopg.connect(as_owner(ground.database_url)) as connection:
        states = dict(
            connection.execute("select state, count(*) from frames group by 1").fetchall()
        )
        by_device = dict(
            connection.execute("select device, count(*) from frames group by 1").fetchall()
        )
        (unpredicted,) = _row(
            connection,
            f"select count(*) from cells left join {EACH_CELL} using (frame_id, index)"
            " where predicted.frame_id is null",
        )
        (dead,) = _row(connection, "select count(*) from dead_letters")
        objects = connection.execute("select object_key, object_sha256 from fields").fetchall()
    frames = sum(states.values())
    differing = sum(abs(captured[d] - by_device.get(d, 0)) for d in captured)
    return Account(
        pictures=pictures,
        states=states,
        double=max(0, frames - pictures),
        lost=max(0, pictures - frames) + states.get("pending", 0) + unpredicted + differing,
        wrong_objects=_wrong(ground, objects),
        blamed=states.get("quarantined", 0) + dead,
        miscounted=_miscounted(ground),
    )


def fingerprint(ground: Campground) -> list[Any]:
    """Return what a replay must not change."""
    with psycopg.connect(as_owner(ground.database_url)) as connection:
        return connection.execute(_FINGERPRINT).fetchall()


def _miscounted(ground: Campground) -> int:
    engine = make_engine(as_owner(ground.database_url))
    try:
        with unit_of_work(engine) as connection:
            return len(miscounted_slides(connection))
    finally:
        engine.dispose()


def _wrong(ground: Campground, objects: list[tuple[Any, ...]]) -> int:
    store = open_store(ground.objects)
    return sum(hashlib.sha256(store.get(key)).hexdigest() != sha256 for key, sha256 in objects)


def _row(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return tuple(row)
