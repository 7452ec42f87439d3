"""What a slide's row says of its frames and its result holds, whoever writes at the same time."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.frames import FrameRow, record_frames
from hemaline_cloud.database.results import (
    BundleRecord,
    lock_slides,
    register_bundle,
    settle_quarantined,
    settle_with_result,
)
from hemaline_cloud.database.revision_inputs import RevisionInputs
from hemaline_cloud.database.revisions import append_revision
from hemaline_cloud.database.schema import Frame, Slide
from hemaline_cloud.database.slides import (
    SlideRow,
    close_slide,
    miscounted_slides,
    open_slides,
    recount_slides,
)
from hemaline_cloud.principal import service
from hemaline_shared.ids import new_id

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
WRITERS, ROUNDS = 4, 25


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=service("tests"), pool_size=WRITERS + 1)
    yield engine
    engine.dispose()


def slide_row() -> SlideRow:
    return SlideRow(new_id(), uuid4(), "north", "scope-1")


def frame_of(slide: SlideRow, state: str = "pending", source: str = "folder") -> FrameRow:
    reason = "truncated" if state in {"rejected", "quarantined"} else None
    row = FrameRow(
        new_id(), slide.slide_id, "north", "scope-1", 0, source, "0.1.0", NOW, NOW, state
    )
    return row._replace(reason=reason, settled_at=None if state == "pending" else NOW)


def stored(engine, slide: SlideRow, *frames: FrameRow) -> None:
    with unit_of_work(engine) as connection:
        open_slides(connection, [(slide, NOW)])
        record_frames(connection, frames)


def settle(connection, *frames: FrameRow) -> None:
    register_bundle(connection, BundleRecord("1" * 64, "cells-1", True, {}))
    settle_with_result(connection, "1" * 64, [frame.frame_id for frame in frames])


def shown(engine, slide: SlideRow):
    with unit_of_work(engine) as connection:
        return connection.execute(select(Slide).where(Slide.slide_id == slide.slide_id)).one()


def test_each_change_of_a_frame_is_counted_in_its_transaction(engine):
    slide = slide_row()
    pending, more = frame_of(slide), frame_of(slide)
    stored(engine, slide, pending, more, frame_of(slide, "rejected"), frame_of(slide, "rejected"))
    row = shown(engine, slide)
    assert (row.captured, row.pending, row.with_result, row.rejected) == (4, 2, 0, 2)
    with unit_of_work(engine) as connection:
        settle(connection, pending)
        settle_quarantined(connection, more.frame_id, "object-missing", "gone")
    row = shown(engine, slide)
    assert (row.captured, row.pending, row.with_result, row.quarantined) == (4, 0, 1, 1)
    with unit_of_work(engine) as connection:
        connection.execute(delete(Frame).where(Frame.frame_id == more.frame_id))
    row = shown(engine, slide)
    assert (row.captured, row.quarantined) == (3, 0)


def test_a_transaction_that_fails_counts_nothing(engine):
    slide = slide_row()
    stored(engine, slide, frame_of(slide))
    with suppress(RuntimeError), unit_of_work(engine) as connection:
        record_frames(connection, [frame_of(slide)])
        raise RuntimeError
    assert shown(engine, slide).captured == 1


def test_a_frame_that_is_there_already_is_not_counted_again(engine):
    slide = slide_row()
    frame = frame_of(slide)
    for _ in range(3):
        stored(engine, slide, frame)
    assert shown(engine, slide).captured == 1


def test_a_slide_is_complete_once_it_is_closed_and_nothing_is_pending(engine):
    slide = slide_row()
    frame = frame_of(slide, source="simulator")
    stored(engine, slide, frame)
    assert (shown(engine, slide).state, shown(engine, slide).simulated) == ("receiving", True)
    with unit_of_work(engine) as connection:
        close_slide(connection, slide.slide_id, 1)
    assert shown(engine, slide).state == "processing"
    with unit_of_work(engine) as connection:
        settle(connection, frame)
    assert shown(engine, slide).state == "complete"
    stored(engine, slide, frame_of(slide))
    assert shown(engine, slide).state == "processing"


def test_a_slides_urgency_rises_with_its_result_and_does_not_fall(engine):
    slide = slide_row()
    stored(engine, slide, frame_of(slide, "result"))
    with unit_of_work(engine) as connection:
        register_bundle(connection, BundleRecord("1" * 64, "cells-1", True, {}))
    for urgency, cells, expected in ((1, 3, 1), (3, 7, 3), (0, 9, 3)):
        with unit_of_work(engine) as connection:
            content = {"urgency": urgency, "cells": cells}
            append_revision(connection, slide.slide_id, "1" * 64, RevisionInputs(()), content)
        row = shown(engine, slide)
        assert (row.urgency, row.cells) == (expected, cells)
    with unit_of_work(engine) as connection:
        assert miscounted_slides(connection) == []


def test_writers_of_the_same_slides_at_once_count_every_frame(engine):
    """Ingest adds frames of several slides in any order; workers settle what they find."""
    slides = [slide_row() for _ in range(5)]

    def write(number: int) -> Counter[str]:
        dice = random.Random(number)
        made: Counter[str] = Counter()
        for _ in range(ROUNDS):
            chosen = dice.sample(slides, 3)
            frames = [frame_of(slide, dice.choice(["pending", "rejected"])) for slide in chosen]
            with suppress(RuntimeError), unit_of_work(engine) as connection:
                record_frames(connection, frames)
                if dice.random() < 0.2:
                    raise RuntimeError
                made.update(frame.state for frame in frames)
            with unit_of_work(engine) as connection:
                ready = select(Frame.frame_id, Frame.slide_id).where(Frame.state == "pending")
                taken = connection.execute(ready.limit(3).with_for_update(skip_locked=True)).all()
                lock_slides(connection, [row.slide_id for row in taken])
                settle(connection, *taken)
        return made

    with unit_of_work(engine) as connection:
        open_slides(connection, [(slide, NOW) for slide in slides])
    with ThreadPoolExecutor(WRITERS) as pool:
        made = sum(pool.map(write, range(WRITERS)), Counter())
    rows = [shown(engine, slide) for slide in slides]
    assert sum(row.captured for row in rows) == made.total() > 0
    assert sum(row.rejected for row in rows) == made["rejected"]
    assert sum(row.pending + row.with_result for row in rows) == made["pending"]
    with unit_of_work(engine) as connection:
        assert miscounted_slides(connection) == []


def test_a_count_that_a_hand_has_spoilt_is_found_and_mended(engine):
    slide, right = slide_row(), slide_row()
    for one in (slide, right):
        stored(engine, one, frame_of(one), frame_of(one, "rejected"))
    with unit_of_work(engine) as connection:
        spoilt = update(Slide).where(Slide.slide_id == slide.slide_id)
        connection.execute(spoilt.values(pending=7, captured=9))
        assert miscounted_slides(connection) == [slide.slide_id]
        assert miscounted_slides(connection, [right.slide_id]) == []
        recount_slides(connection, [slide.slide_id])
        assert miscounted_slides(connection) == []
    assert shown(engine, slide).captured == 2
