import asyncio
from uuid import UUID

import pytest
from sqlalchemy import create_engine

from hemaline_cloud.api import changes
from hemaline_cloud.api.changes import ChangeFeed, Listener
from hemaline_cloud.database.outbox import Entry


def everything(_entry: Entry) -> bool:
    return True


def slide(number: int, site: str = "north") -> Entry:
    return Entry(number, 0, site, "slide", UUID(int=number))


def told(*entries: Entry, concerns: changes.Concerns = everything) -> list[Entry] | None:
    async def scenario() -> list[Entry] | None:
        listener = Listener(concerns)
        for entry in entries:
            listener.tell([entry])
        await asyncio.sleep(0)
        return await listener.wait(1)

    return asyncio.run(scenario())


def test_a_burst_of_one_change_is_told_once():
    assert told(*[slide(1)] * 50) == [slide(1)]


def test_a_reader_that_never_reads_costs_a_bounded_memory_and_learns_to_read_everything():
    assert told(*map(slide, range(10_000))) is None


def test_a_listener_hears_of_what_concerns_it_alone():
    entries = slide(1), slide(2, "south")
    assert told(*entries, concerns=lambda entry: entry.site == "north") == [slide(1)]


def test_nothing_new_ends_the_wait_with_nothing():
    async def scenario() -> list[Entry] | None:
        return await Listener(everything).wait(0.01)

    assert asyncio.run(scenario()) == []


def test_the_end_wakes_who_waits():
    async def scenario() -> bool:
        listener = Listener(everything)
        waiting = asyncio.create_task(listener.wait(30))
        await asyncio.sleep(0)
        listener.end()
        assert await waiting == []
        return listener.ended

    assert asyncio.run(scenario())


def test_a_feed_is_full_only_while_its_listeners_listen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(changes, "_MOST_LISTENERS", 1)
    feed = ChangeFeed(create_engine("postgresql://"))

    async def scenario() -> list[bool]:
        before = feed.is_full
        with feed.listening(everything):
            during = feed.is_full
        return [before, during, feed.is_full]

    assert asyncio.run(scenario()) == [False, True, False]
