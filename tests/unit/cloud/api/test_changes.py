import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine

from hemaline_cloud.api import changes
from hemaline_cloud.api.changes import ChangeFeed, Listener
from hemaline_cloud.database.outbox import Entry


def entry(number: int, subject: UUID, site: str | None = "lab") -> Entry:
    return Entry(1, number, site, "slide", subject)


def test_a_burst_of_one_change_is_told_once_by_its_last():
    slide = uuid4()

    async def scenario() -> list[Entry] | None:
        listener = Listener(lambda _: True)
        for number in range(50):
            listener.tell([entry(number, slide)])
        await asyncio.sleep(0)
        return await listener.wait(1)

    assert asyncio.run(scenario()) == [entry(49, slide)]


def test_a_listener_hears_only_what_concerns_it():
    ours, theirs = entry(1, uuid4()), entry(2, uuid4(), "elsewhere")

    async def scenario() -> list[Entry] | None:
        listener = Listener(lambda told: told.site == "lab")
        listener.tell([ours, theirs])
        await asyncio.sleep(0)
        return await listener.wait(1)

    assert asyncio.run(scenario()) == [ours]


def test_a_reader_that_never_reads_costs_a_bounded_memory_and_learns_to_read_everything():
    async def scenario() -> tuple[int, list[Entry] | None]:
        listener = Listener(lambda _: True)
        most = 0
        for number in range(10_000):
            listener.tell([entry(number, uuid4())])
            await asyncio.sleep(0)
            most = max(most, len(listener._changed))
        return most, await listener.wait(1)

    most, told = asyncio.run(scenario())
    assert most <= 256
    assert told is None


def test_nothing_new_ends_the_wait_with_nothing():
    async def scenario() -> list[Entry] | None:
        return await Listener(lambda _: True).wait(0.01)

    assert asyncio.run(scenario()) == []


def test_the_end_wakes_who_waits():
    async def scenario() -> bool:
        listener = Listener(lambda _: True)
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
        with feed.listening(lambda _: True):
            during = feed.is_full
        return [before, during, feed.is_full]

    assert asyncio.run(scenario()) == [False, True, False]
